"""The dozen systems of the sample that exchange for real, through the nodes of the embedded country's organisations.

What the country needs to be founded with them: subsystems, services before Datasette, rights; and the calls that are
made in its life. Some are planted: a portal of 40,000 declared users that is called three times, a help desk that
nobody calls, an integration that is declared and silent, one that is used and not declared. Not here: their records
(`sample`) and who makes the calls (`life`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.registry.forms import Names
from qaztech.testing.national.texts import real_entries

# Calls of a pair in the country's first minutes: so many that it is used by any measure of half a year.
AT_FIRST: Final = 40
# What founds the country by itself: systems, and one service.
_THERE: Final = frozenset({"permits", "codes", "research", "support-center"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Calls of one real system to another. `first` are made at first, then one now and then where `goes_on`."""

    consumer: str
    provider: str
    path: str
    first: int = AT_FIRST
    goes_on: bool = True
    declared: bool = True
    # Calls of a month as they are declared, and for how many days they are said to have been made.
    monthly: int = 60
    days: int = 30


_COUNTRY: Final = "/countries/KZ.json?_shape=object"
_LIST: Final = "/countries.json?_size=5"
CALLS: Final = (
    Call(consumer="permits", provider="codes", path=_COUNTRY),
    Call(consumer="visas", provider="codes", path=_COUNTRY),
    Call(consumer="licences", provider="codes", path=_LIST),
    Call(consumer="licences", provider="currencies", path="/currencies.json?_size=5", declared=False),
    Call(consumer="transit", provider="currencies", path="/currencies.json?_size=5"),
    Call(consumer="transit", provider="territories", path="", first=0, goes_on=False, monthly=4000, days=700),
    Call(consumer="research", provider="codes", path=_LIST),
    Call(consumer="research", provider="territories", path="/subdivisions.json?_size=5"),
    Call(consumer="admissions", provider="territories", path="/subdivisions.json?_size=5"),
    Call(
        consumer="translations",
        provider="languages",
        path="/languages.json?_size=5",
        first=3,
        goes_on=False,
        monthly=30_000,
        days=900,
    ),
    Call(consumer="permits", provider="support-center", path="", first=0, goes_on=False, monthly=60),
    Call(consumer="codes", provider="support-center", path="", first=0, goes_on=False, monthly=60),
    Call(consumer="research", provider="support-center", path="", first=0, goes_on=False, monthly=60),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSystem:
    """One of the dozen that the country has only with the sample; behind its service stands a `table` of code lists."""

    word: str
    organisation: str
    code: str
    names: Names
    service: str
    table: str


def real_systems() -> list[RealSystem]:
    """Those that have to be added to the country."""
    return [
        RealSystem(
            word=entry["id"], organisation=entry["member"], code=entry["system"],
            names=Names(kk=entry["kk"], ru=entry["ru"], en=entry["en"]),
            service=entry.get("service", ""), table=entry.get("table", ""),
        )
        for entry in real_entries()
        if entry["id"] not in _THERE
    ]  # fmt: skip


def granted(members: dict[str, MemberId]) -> list[tuple[ServiceId, SubsystemId, str]]:
    """Rights beside those that the country has by itself: service, client, endpoint."""
    entries = {entry["id"]: entry for entry in real_entries()}
    found = []
    for call in CALLS:
        consumer, provider = entries[call.consumer], entries[call.provider]
        if call.path and (call.consumer, call.provider) not in {("permits", "codes"), ("research", "codes")}:
            service = ServiceId(SubsystemId(members[provider["member"]], provider["system"]), provider["service"])
            client = SubsystemId(members[consumer["member"]], consumer["system"])
            found.append((service, client, f"GET {call.path.partition('?')[0]}"))
    return found


def orders(members: dict[str, MemberId], edges: dict[str, str]) -> list[dict[str, str | int | bool]]:
    """The calls to be made, as `life` reads them: client, URL at the client's node, how many, whether it goes on."""
    entries = {entry["id"]: entry for entry in real_entries()}
    found: list[dict[str, str | int | bool]] = []
    for call in CALLS:
        if not call.path:
            continue
        consumer, provider = entries[call.consumer], entries[call.provider]
        client = SubsystemId(members[consumer["member"]], consumer["system"])
        service = ServiceId(SubsystemId(members[provider["member"]], provider["system"]), provider["service"])
        url = f"{edges[consumer['member']]}/r1/{service}{call.path}"
        found.append({"client": str(client), "url": url, "first": call.first, "goes_on": call.goes_on})
    return found

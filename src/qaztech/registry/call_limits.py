"""How often a client may call a service, as its member tells its own nodes: a plain file, not part of what is signed.

Rights say who may call what, until when, and everyone can check them; how often is between the member and its nodes
(docs/formats/access-request.md). Pure; who counts the calls is `node.limits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.registry.forms import Form, Names, decode, encode, malformed
from qaztech.registry.maintenance import Maintenance, check_maintenance

TYPE = "qaztech-limits 1"
MAX_FILE = 4 * 1024 * 1024
# More calls than this are as good as no limit.
MAX_CALLS = 1_000_000_000
_CODE = "limits.malformed"


class CallLimit(NamedTuple):
    """At most so many calls in a minute and in a day; None: as many as come.

    `closed` are endpoints whose right was taken away, until everyone can see so in what is signed.
    """

    minute: int | None
    day: int | None
    closed: tuple[str, ...] = ()


CallLimits = Mapping[tuple[ServiceId, SubsystemId], CallLimit]
Timetable = Mapping[ServiceId, Maintenance]
"""When services of a member are not to be called."""


class _Line(Form, frozen=True, forbid_unknown_fields=True):
    service: str
    client: str
    minute: int | None
    day: int | None
    closed: tuple[str, ...]


class _Planned(Form, frozen=True, forbid_unknown_fields=True):
    service: str
    begin: int
    end: int
    notice: Names


class _File(Form, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    type: str
    limits: tuple[_Line, ...]
    maintenance: tuple[_Planned, ...] = ()


def format_limits(limits: CallLimits, timetable: Timetable | None = None) -> bytes:
    """The file, in its one spelling."""
    lines = sorted((str(service), str(client), limit) for (service, client), limit in limits.items())
    planned = sorted((str(service), one) for service, one in (timetable or {}).items())
    return encode(
        _File(
            type=TYPE, limits=tuple(_Line(service, client, *limit) for service, client, limit in lines),
            maintenance=tuple(_Planned(service, one.begin, one.end, one.notice) for service, one in planned),
        )
    )  # fmt: skip


def parse_timetable(data: bytes, member: MemberId) -> dict[ServiceId, Maintenance]:
    """The maintenance in that file. Raises `Malformed`, also where it names another's service."""
    found: dict[ServiceId, Maintenance] = {}
    for line in decode(_File, data, code=_CODE, limit=MAX_FILE).maintenance:
        try:
            service = ServiceId.parse(line.service)
        except Error as exc:
            raise Malformed(_CODE, exc.detail, at="registry") from exc
        if service.subsystem.member != member or service in found:
            malformed(_CODE, "each service is the member's own, and has one maintenance")
        found[service] = Maintenance(line.begin, line.end, line.notice)
        check_maintenance(found[service], _CODE)
    return found


def parse_limits(data: bytes, member: MemberId) -> dict[tuple[ServiceId, SubsystemId], CallLimit]:
    """The limits a member sets for its services. Raises `Malformed`, also where it names another's service."""
    file = decode(_File, data, code=_CODE, limit=MAX_FILE)
    if file.type != TYPE:
        malformed(_CODE, f"the type is not {TYPE!r}")
    found: dict[tuple[ServiceId, SubsystemId], CallLimit] = {}
    for line in file.limits:
        try:
            service, client = ServiceId.parse(line.service), SubsystemId.parse(line.client)
        except Error as exc:
            raise Malformed(_CODE, exc.detail, at="registry") from exc
        if service.subsystem.member != member or (service, client) in found:
            malformed(_CODE, "each service is the member's own, and has one line for a client")
        for number in (line.minute, line.day):
            if number is not None and not 1 <= number <= MAX_CALLS:
                malformed(_CODE, f"a limit is 1 to {MAX_CALLS} calls, or none")
        found[service, client] = CallLimit(line.minute, line.day, line.closed)
    return found

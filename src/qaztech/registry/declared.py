"""What the operator wants the registry to hold, as a file (`country.yaml`), and the decisions that lead there.

Pure: a plan is a list of decisions, each a line of a diff and a request to the management API. Who is not mentioned
stays as it is: nobody is put out by being left out. Format: docs/formats/declared.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from qaztech.core.errors import Conflict, Malformed
from qaztech.core.ids import MemberId
from qaztech.registry.forms import Names, bytes32, check_hex

_CODE = "declared.malformed"


class DeclaredMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member of the country."""

    lineage: str
    names: Names
    suspended: bool = False


class CountryForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    kind: Literal["country"]
    instance: str
    members: dict[str, DeclaredMember] = {}
    revoked_tls: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of the diff, and the management request that carries it out."""

    sign: Literal["+", "~", "-"]
    what: str
    path: str
    body: Mapping[str, Any]


def read_country_form(values: Any) -> CountryForm:
    """The form from plain values; raises `Malformed` with the place that is wrong."""
    try:
        form = msgspec.convert(values, CountryForm)
    except msgspec.ValidationError as exc:
        raise Malformed(_CODE, str(exc)[:300], at="caller") from exc
    for id_, member in form.members.items():
        if str(MemberId.parse(id_)) != id_ or MemberId.parse(id_).instance != form.instance:
            raise Malformed(_CODE, f"not a member of {form.instance} in its one spelling: {id_[:200]}", at="caller")
        check_hex(member.lineage, _CODE, "lineage")
        member.names.check(_CODE)
    for tls in form.revoked_tls:
        bytes32(tls, _CODE, "TLS key hash")
    return form


def plan(form: CountryForm, status: Mapping[str, Any], revoked: Collection[str]) -> list[Decision]:
    """The decisions from the registry's state (`/manage/status`) to what the file wants. Raises `Conflict`."""
    if form.instance != status["instance"]:
        raise Conflict("registry.instance", f"the registry is of {status['instance']}, the file of {form.instance}")
    known = {member["id"]: member for member in status["members"]}
    decisions: list[Decision] = []
    for id_, member in form.members.items():
        now = known.get(id_)
        if now is None or now["lineage"] != member.lineage:
            anew = "" if now is None else f", in place of {now['lineage'][:16]}…: what that one signed is void"
            names = {"kk": member.names.kk, "ru": member.names.ru, "en": member.names.en}
            decisions.append(
                Decision(
                    sign="+" if now is None else "~",
                    what=f"member {id_}: {member.names.en}, lineage {member.lineage[:16]}…{anew}",
                    path="members",
                    body={"id": id_, "lineage": member.lineage, "names": names},
                )
            )
        if member.suspended != (now is not None and now["suspended"]):
            decisions.append(
                Decision(
                    sign="-" if member.suspended else "+",
                    what=f"{id_} is {'suspended' if member.suspended else 'let back'}",
                    path="suspend",
                    body={"member": id_, "suspended": member.suspended},
                )
            )
    decisions += [
        Decision(sign="-", what=f"TLS key {tls}", path="revoke-tls", body={"tls": tls})
        for tls in form.revoked_tls
        if tls not in revoked
    ]
    return decisions

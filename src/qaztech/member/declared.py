"""What a member wants its file to say, as a file of its own (`member.yaml`), and the steps from what it says now.

Pure: a plan is a list of steps, each a line of a diff and the change it makes at the desk. A plan of what is so already
has no steps. What the file does not mention stays as it is, with one exception: the rights of a service that the file
lists are those listed, no others. Format: docs/formats/declared.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec

from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.openapi_text import read_tree
from qaztech.registry.authoring import ServiceRights
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names, check_hex
from qaztech.registry.member_file import ServiceLine
from qaztech.registry.rights_page import Right

HERE = timezone(timedelta(hours=5))  # a day ends when it ends in Kazakhstan
Lineages = Callable[[MemberId], str]
"""The lineage of a client's member, from the registry's directory. Raises `NotFound`."""


class RightForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One right. Without `lineage` that of the directory is taken and shown in the plan."""

    client: str
    endpoints: list[str]
    until: str | None = None
    lineage: str | None = None


class ServiceForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One service by its code; `disabled` is the notice to callers while it is switched off.

    `passport` is one, or the name of its file; `openapi` the name of the description's (`declared_shown` reads both).
    """

    names: Names
    type: Literal["REST", "OPENAPI"] | None = None
    disabled: str | None = None
    rights: list[RightForm] | None = None
    passport: dict[str, Any] | str | None = None
    openapi: str | None = None

    @property
    def kind(self) -> Literal["REST", "OPENAPI"]:
        """The type that is given, else that which having a description makes it."""
        return self.type or ("OPENAPI" if self.openapi is not None else "REST")


class SubsystemForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One information system by its code."""

    names: Names
    services: dict[str, ServiceForm] = {}


class MemberForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    kind: Literal["member"]
    member: str
    subsystems: dict[str, SubsystemForm] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the diff: `+` new, `~` changed, `-` taken away; and what it does at the desk."""

    sign: Literal["+", "~", "-"]
    what: str
    do: Callable[[Desk], object]


def read_declared(data: bytes) -> MemberForm:
    """Read a `member.yaml`, YAML or JSON, bounded; raises `Malformed` with the place that is wrong."""
    try:
        root = read_tree(data).root
    except Error as exc:
        raise Malformed("declared.malformed", exc.detail, at="caller") from exc
    try:
        form = msgspec.convert(root, MemberForm)
    except msgspec.ValidationError as exc:
        raise Malformed("declared.malformed", str(exc)[:300], at="caller") from exc
    _check(form)
    return form


def plan(form: MemberForm, desk: Desk, lineages: Lineages) -> list[Step]:
    """The steps from what the desk says to what the file wants. Raises `Conflict` and `NotFound`."""
    if form.member != str(desk.member):
        raise Conflict("member.other", f"the file is of {form.member}, the desk of {desk.member}")
    steps: list[Step] = []
    known = {line.code: line.names for line in desk.statement.subsystems}
    services = {line.id: line for line in desk.statement.services}
    for code, subsystem in form.subsystems.items():
        id_ = SubsystemId(desk.member, code)
        encoded = str(id_).rpartition("/")[2]
        if encoded not in known or known[encoded] != subsystem.names:
            steps.append(_subsystem(id_, subsystem.names, new=encoded not in known))
        for service_code, service in subsystem.services.items():
            service_id = ServiceId(id_, service_code)
            line = services.get(str(service_id))
            steps += _service(service_id, service, line)
            if service.rights is not None:
                held = desk.rights(service_id) if line is not None else ServiceRights(service=service_id)
                steps += _rights(service_id, service.rights, held, lineages)
    return steps


def _subsystem(id_: SubsystemId, names: Names, *, new: bool) -> Step:
    return Step(sign="+" if new else "~", what=f"subsystem {id_}: {names.en}", do=lambda d: d.add_subsystem(id_, names))


def _service(id_: ServiceId, form: ServiceForm, line: ServiceLine | None) -> list[Step]:
    if line is not None and (line.names, line.type, line.disabled) == (form.names, form.kind, form.disabled):
        return []
    off = f", switched off: {form.disabled}" if form.disabled else ""
    return [
        Step(
            sign="~" if line is not None else "+",
            what=f"service {id_}: {form.names.en}, {form.kind}{off}",
            do=lambda d: d.add_service(id_, form.names, type_=form.kind, disabled=form.disabled),
        )
    ]


def _rights(id_: ServiceId, wanted: list[RightForm], held: ServiceRights, lineages: Lineages) -> list[Step]:
    steps: list[Step] = []
    # A client may hold several rights, as it asked for them: the one that is listed is then put in place of all.
    now: dict[str, list[Right]] = {}
    for each in held.rights:
        if each.client is not None:
            now.setdefault(each.client, []).append(each)
    for form in wanted:
        client = SubsystemId.parse(form.client)
        lineage = form.lineage or lineages(client.member)
        endpoints, until = [Endpoint.parse(e) for e in form.endpoints], _until(form.until)
        holds = now.get(str(client), [])
        texts = tuple(map(str, endpoints))
        if [(right.lineage, right.endpoints, right.until) for right in holds] == [(lineage, texts, until)]:
            continue
        ends = f", until {form.until}" if form.until else ""
        steps.append(
            Step(
                sign="~" if holds else "+",
                what=f"right {client} -> {id_}: {', '.join(texts)}{ends} (lineage {lineage[:16]}…)",
                do=_grant(id_, client, lineage, endpoints, until),
            )
        )
    listed = {str(SubsystemId.parse(form.client)) for form in wanted}
    steps += [
        Step(sign="-", what=f"right {client} -> {id_}", do=_revoke(id_, SubsystemId.parse(client)))
        for client in sorted(now)
        if client not in listed
    ]
    return steps


def _grant(
    id_: ServiceId, client: SubsystemId, lineage: str, endpoints: list[Endpoint], until: int | None
) -> Callable[[Desk], object]:
    return lambda d: d.grant(id_, client, lineage, endpoints, until)


def _revoke(id_: ServiceId, client: SubsystemId) -> Callable[[Desk], object]:
    return lambda d: d.revoke(id_, client)


def _until(day: str | None) -> int | None:
    """The end of a day in Kazakhstan, in milliseconds."""
    if day is None:
        return None
    try:
        end = datetime.combine(date.fromisoformat(day) + timedelta(days=1), datetime.min.time(), HERE)
    except (ValueError, OverflowError) as exc:
        raise Malformed("declared.malformed", f"not a day such as 2027-12-31: {day[:20]!r}", at="caller") from exc
    return int(end.timestamp() * 1000)


def _check(form: MemberForm) -> None:
    member = MemberId.parse(form.member)
    if str(member) != form.member:
        raise Malformed("declared.malformed", f"an identifier has one spelling: {member}", at="caller")
    for code, subsystem in form.subsystems.items():
        subsystem.names.check("declared.malformed")
        SubsystemId.parse(str(SubsystemId(member, code)))
        for service_code, service in subsystem.services.items():
            ServiceId.parse(str(ServiceId(SubsystemId(member, code), service_code)))
            service.names.check("declared.malformed")
            clients = [right.client for right in service.rights or []]
            if len(set(clients)) != len(clients):
                raise Malformed("declared.malformed", f"{service_code}: a client is listed twice", at="caller")
            for right in service.rights or []:
                _until(right.until)
                if not right.endpoints:
                    raise Malformed("declared.malformed", f"{right.client}: a right names endpoints", at="caller")
                if right.lineage is not None:
                    check_hex(right.lineage, "declared.malformed", "lineage")


def directory_lineages(directory: Mapping[str, str]) -> Lineages:
    """Lineages by member id, as the registry's directory lists them."""

    def lineage(member: MemberId) -> str:
        found = directory.get(str(member))
        if found is None:
            raise NotFound("member.unknown", f"the directory lists no member {member}", at="registry")
        return found

    return lineage

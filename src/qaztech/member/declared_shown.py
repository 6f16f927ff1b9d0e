"""What a `member.yaml` says is shown of the member's services, passports and descriptions, and the steps to it.

Pure but for `read`, by which the files that it names are read, and the desk's window, which a step changes. A
passport may leave out what is not known yet. What is not mentioned stays. Format: docs/formats/declared.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.member.declared import MemberForm, ServiceForm, Step
from qaztech.member.openapi import read_description
from qaztech.member.openapi_text import read_tree
from qaztech.member.window import Window
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names
from qaztech.registry.passport import MAX_PASSPORT, Passport, check_passport, new_passport
from qaztech.registry.showcase import ShownService, describe

Read = Callable[[str, int], bytes]
"""Reads a file that is named relative to the `member.yaml`, of at most so many bytes. Raises `Malformed`."""
MAX_OPENAPI = 2 * 1024 * 1024
_CODE = "declared.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be shown of one service; None: as it is."""

    names: Names
    passport: Passport | None
    document: bytes | None


def read_shown(form: MemberForm, read: Read) -> dict[ServiceId, Wanted]:
    """The services of which the file says what is shown. Raises `Malformed` with what is wrong, and where."""
    member = MemberId.parse(form.member)
    return {
        ServiceId(SubsystemId(member, system), code): _wanted(code, service, read)
        for system, subsystem in form.subsystems.items()
        for code, service in subsystem.services.items()
        if service.passport is not None or service.openapi is not None
    }


def plan_shown(wanted: Mapping[ServiceId, Wanted], window: Window) -> list[Step]:
    """The steps from what the desk's window shows to what is wanted; they follow those of `declared.plan`."""
    shown = window.shown()
    steps = [step for id_, one in wanted.items() for step in _steps(id_, one, shown.get(str(id_)), window)]
    if shown and not steps and window.showcase() is None:
        steps.append(Step(sign="~", what="showcase, signed with the present key", do=window.sign_again))
    return steps


def _steps(id_: ServiceId, wanted: Wanted, shown: ShownService | None, window: Window) -> list[Step]:
    passport = wanted.passport or (shown.passport if shown is not None else new_passport(wanted.names))
    new = shown is None or shown.description is None
    changes = []
    if shown is None or shown.passport != passport:
        changes.append(
            Step(sign="+" if shown is None else "~", what=f"passport of {id_}", do=_put(id_, passport, window))
        )
    document = wanted.document
    if document is not None and (shown is None or shown.description != describe(document)):
        changes.append(
            Step(sign="+" if new else "~", what=f"description of {id_}", do=_put(id_, passport, window, document))
        )
    return changes


def _put(id_: ServiceId, passport: Passport, window: Window, document: bytes | None = None) -> Callable[[Desk], object]:
    return lambda desk: window.put(desk, id_, passport, document)


def _wanted(code: str, service: ServiceForm, read: Read) -> Wanted:
    passport, document = None, None
    if service.passport is not None:
        given = service.passport
        where = f"passport of {code}"
        passport = _passport(where, service.names, _tree(where, given, read) if isinstance(given, str) else given)
    if service.openapi is not None:
        try:
            description = read_description(read(service.openapi, MAX_OPENAPI))
            description.require_sound()
        except Malformed as exc:
            raise Malformed(_CODE, f"{service.openapi[:200]}: {exc.detail}", at="caller") from exc
        document = description.document
    return Wanted(names=service.names, passport=passport, document=document)


def _tree(where: str, name: str, read: Read) -> dict[str, Any]:
    try:
        return read_tree(read(name, MAX_PASSPORT)).root
    except Malformed as exc:
        raise Malformed(_CODE, f"{where}, {name[:200]}: {exc.detail}", at="caller") from exc


def _passport(where: str, names: Names, given: Mapping[str, Any]) -> Passport:
    """A passport from what is given of it; its names are those of the service."""
    try:
        filled = {**msgspec.to_builtins(new_passport(names)), **given}
        if given.get("personal") is False:  # written by a person, who so says that there are none
            filled.setdefault("no_personal", True)
        passport = msgspec.convert(filled, Passport)
        check_passport(passport)
    except (msgspec.ValidationError, Malformed) as exc:
        told = exc.detail if isinstance(exc, Malformed) else str(exc)
        raise Malformed(_CODE, f"{where}: {told[:300]}", at="caller") from exc
    if passport.names != names:
        raise Malformed(_CODE, f"{where}: its names are not those of the service", at="caller")
    return passport

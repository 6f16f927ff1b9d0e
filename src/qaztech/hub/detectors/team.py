"""Detectors of people and terms: 10 expiry_without_team, 13 orphan.

They know pseudonyms and days only, and say nothing of anybody's work.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from qaztech.hub.detectors.finding import NOT_TOLD, Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import documents, fact, in_life, law_fact, limit, objects, upkeep
from qaztech.hub.register.rows import Contract, DigitalObject, DocumentType, RoleHolder


class _End(NamedTuple):
    day: date
    told: Fact


def expiry_without_team(case: Case) -> Iterator[Finding]:
    """The last contract, warranty or licence ends soon or has just ended, and nobody holds a role."""
    near = limit(case, "expiry_warning_days")
    telling = {owner for role in case.register.all(RoleHolder).values() if (owner := _owner(case, role))}
    for object_ in objects(case):
        ends = _ends(case, object_)
        if not ends or not in_life(object_) or any(_held(role, case.today) for role in _roles(case, object_)):
            continue
        last = ends[-1]
        if abs((last.day - case.today).days) > near:
            continue
        total, facts = upkeep(case, object_)
        left = [fact("role_left", role.role.value, role, "until", role.until) for role in _roles(case, object_)]
        none = Fact(what="no_role", value="", source=f"objects/{object_.key}/roles", as_of=object_.actualised)
        limits = law_fact(case.law, "expiry_warning_days", case.today)
        if not left and object_.owner_bin not in telling:  # a body that has sent no roles of any system
            yield Finding(
                detector="expiry_without_team",
                objects=(object_.id,),
                evidence=(last.told, none, limits),
                confidence=NOT_TOLD,
                asks="roles",
            )
            continue
        yield Finding(
            detector="expiry_without_team",
            objects=(object_.id,),
            evidence=(last.told, *(left or [none]), *facts, limits),
            confidence=0.9 if left else 0.8,
            money=total or None,
            money_of=MoneyOf.UPKEEP,
        )


def _owner(case: Case, role: RoleHolder) -> str | None:
    """Whose system a role is of."""
    object_ = case.register.objects.get(role.object)
    return None if object_ is None else object_.owner_bin


def _ends(case: Case, object_: DigitalObject) -> list[_End]:
    """When contracts, warranties and licences of an object end."""
    found = []
    for contract in case.register.of(Contract, object_.id):
        for field, day in (("ends", contract.ends), ("warranty_until", contract.warranty_until)):
            if day is not None:
                found.append(_End(day, fact(field, day, contract, field)))
    found += [
        _End(licence.valid_until, fact("licence_until", licence.valid_until, licence, "valid_until"))
        for licence in documents(case.register, object_, DocumentType.LICENCE)
        if licence.valid_until is not None
    ]
    return sorted(found, key=lambda end: (end.day, end.told.source))


def _roles(case: Case, object_: DigitalObject) -> list[RoleHolder]:
    return sorted(case.register.of(RoleHolder, object_.id), key=lambda role: role.key)


def _held(role: RoleHolder, today: date) -> bool:
    """Whether somebody holds this role, or is named to hold it."""
    return bool(role.successor) or (bool(role.holder) and not _left(role, today))


def _left(role: RoleHolder, today: date) -> bool:
    return role.until is not None and role.until <= today


def orphan(case: Case) -> Iterator[Finding]:
    """Who held a key role has left, no successor is named, and nobody else holds that role."""
    for object_ in objects(case):
        if not in_life(object_):
            continue
        roles = _roles(case, object_)
        held = {role.role for role in roles if _held(role, case.today)}
        gone = [role for role in roles if _left(role, case.today) and role.role not in held]
        if not gone:
            continue
        total, facts = upkeep(case, object_)
        told = [fact("role_left", role.role.value, role, "until", role.until) for role in gone]
        told.append(Fact(what="roles_held", value=len(held), source=f"objects/{object_.key}/roles"))
        status = fact("status", object_.status or "", object_, "status")
        yield Finding(
            detector="orphan",
            objects=(object_.id,),
            evidence=(status, *told, *facts),
            confidence=0.9 if not held else 0.8,
            money=total or None,
            money_of=MoneyOf.UPKEEP,
        )


DETECTORS = (
    Detector(
        slug="expiry_without_team",
        detect=expiry_without_team,
        deterministic=True,
        references=("code.87", "center.settings"),
    ),
    Detector(slug="orphan", detect=orphan, deterministic=True, references=("center.settings",)),
)

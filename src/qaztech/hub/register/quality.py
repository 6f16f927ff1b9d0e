"""How good the record of one object is, 0 to 100, with the list of what is missing, what disagrees and how old it is.

Seventy points for what is declared of all that is due for its kind and status, by weight; twenty for what agrees with
the rest; ten for being confirmed lately. A score judges the record, never the system. Not here: rules of law
(`lifecycle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from statistics import mean
from typing import Final, Literal

from qaztech.hub.detectors.reading import BEFORE_SERVICE, ENDED, IN_SERVICE, UPKEEP, documents, in_life
from qaztech.hub.register.kato import ended, region_of
from qaztech.hub.register.law import Law
from qaztech.hub.register.rows import (
    AiCard,
    Contract,
    Cost,
    DigitalObject,
    Disposition,
    Document,
    DocumentType,
    Hosting,
    Integration,
    Interface,
    Migration,
    ObjectKind,
    RoleHolder,
    Signal,
    Status,
    UseChannel,
)
from qaztech.hub.register.snapshot import Register

COMPLETE: Final = 70
CONSISTENT: Final = 20
FRESH: Final = 10
_SOFTWARE: Final = frozenset({ObjectKind.SYSTEM, ObjectKind.PLATFORM, ObjectKind.SOFTWARE, None})
_DATA: Final = frozenset({ObjectKind.RESOURCE, ObjectKind.DATA_PRODUCT})
_PEOPLE: Final = frozenset({UseChannel.PEOPLE, UseChannel.MIXED})
_EXCHANGING: Final = frozenset({UseChannel.BACKBONE, UseChannel.MIXED})
_MADE: Final = frozenset(Status) - {Status.PLANNING}
_HELD: Final = IN_SERVICE | BEFORE_SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that lowers a score.

    `what` tells how. `field` is `objects/<column>`, another table's name, `documents/<type>`,
    or the slug of a check; `weight` how much it counts among the others of its kind.
    """

    what: Literal["missing", "inconsistent", "old"]
    field: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A record's score (0..100), its parts in percent, its age in days (None: never confirmed), and the gaps."""

    score: int
    completeness: int
    consistency: int
    freshness: int
    age_days: int | None
    gaps: tuple[Gap, ...]


Due = Callable[[DigitalObject, Register], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    field: str
    weight: int
    due: Due
    there: Due


def quality(object_: DigitalObject, register: Register, law: Law, today: date) -> Quality:
    """The quality of one object's record on a day."""
    due = [field for field in _FIELDS if field.due(object_, register)]
    missing = [field for field in due if not field.there(object_, register)]
    completeness = 1 - sum(field.weight for field in missing) / sum(field.weight for field in due)
    wrong = list(_disagreeing(object_, register, today))
    consistency = max(0.0, 1 - sum(gap.weight for gap in wrong) / 10)
    age = None if object_.actualised is None else max((today - object_.actualised).days, 0)
    freshness = _fresh(object_, age, law.number("stale_days", today) or 365)
    gaps = [Gap(what="missing", field=field.field, weight=field.weight) for field in missing]
    if freshness < 0.5:
        wrong.append(Gap(what="old", field="objects/actualised", weight=FRESH))
    return Quality(
        score=round(COMPLETE * completeness + CONSISTENT * consistency + FRESH * freshness),
        completeness=round(100 * completeness),
        consistency=round(100 * consistency),
        freshness=round(100 * freshness),
        age_days=age,
        gaps=tuple(sorted((*gaps, *wrong), key=lambda gap: (-gap.weight, gap.field))),
    )


def mean_score(objects: Iterable[DigitalObject], register: Register, law: Law, today: date) -> int | None:
    """The mean score of several records, such as a body's; None of none."""
    scores = [quality(object_, register, law, today).score for object_ in objects]
    return round(mean(scores)) if scores else None


def _fresh(object_: DigitalObject, age: int | None, stale: int) -> float:
    """1 up to half the time after which a record is stale, then less, 0 from twice that time on or if never confirmed.

    Closed records need no confirming.
    """
    if not in_life(object_):
        return 1.0
    if age is None:
        return 0.0
    return min(1.0, max(0.0, (2 * stale - age) / (1.5 * stale)))


def _always(_object: DigitalObject, _register: Register) -> bool:
    return True


def _status_in(statuses: frozenset[Status]) -> Due:
    return lambda object_, _: object_.status in statuses


def _software(statuses: frozenset[Status]) -> Due:
    return lambda object_, _: object_.kind in _SOFTWARE and object_.status in statuses


def _declared(name: str) -> Due:
    return lambda object_, _: getattr(object_, name) not in (None, "", ())


def _of(name: str, weight: int, due: Due = _always) -> _Field:
    return _Field(field=f"objects/{name}", weight=weight, due=due, there=_declared(name))


def _document(kind: DocumentType, weight: int, due: Due) -> _Field:
    return _Field(
        field=f"documents/{kind.value}",
        weight=weight,
        due=due,
        there=lambda object_, register: bool(documents(register, object_, kind)),
    )


def _upkeep_there(object_: DigitalObject, register: Register) -> bool:
    return any(cost.kind in UPKEEP for cost in register.of(Cost, object_.id))


def _provides(object_: DigitalObject, register: Register) -> bool:
    rows = register.of(Integration, object_.id)
    return any(row.provider_object == object_.id and row.service for row in rows)


_FIELDS: Final = (
    _of("kind", 4),
    _of("name_kk", 4),
    _of("name_ru", 4),
    _of("name_en", 1),
    _of("purpose_kk", 4),
    _of("purpose_ru", 4),
    _of("purpose_en", 1),
    _of("owner_bin", 8),
    _of("operator_bin", 2, _status_in(IN_SERVICE)),
    _of("area", 3),
    _of("kato", 2),
    _of("legal_basis", 5),
    _of("functions", 5),
    _of("status", 8),
    _of("status_since", 4),
    _of("created", 3),
    _of("object_class", 2, _software(_HELD)),
    _of("critical", 2, _software(_HELD)),
    _of("use_channel", 5, _software(IN_SERVICE)),
    _of("subsystems", 4, lambda object_, _: object_.use_channel in _EXCHANGING and object_.status in IN_SERVICE),
    _of("data_elements", 4, lambda object_, _: object_.status in IN_SERVICE),
    _of("source_of_truth", 2, lambda object_, _: object_.kind in _DATA),
    _of("hosting", 5, _status_in(_MADE - ENDED)),
    _of("data_location", 3, _status_in(_MADE - ENDED)),
    _of("stack", 4, _software(_MADE - ENDED)),
    _of("monolith", 1, _software(IN_SERVICE)),
    _of("source_code_deposited", 3, _software(IN_SERVICE | ENDED)),
    _of("declared_users", 3, _software(IN_SERVICE)),
    _of("initial_estimate", 5),
    _of("acquisition", 3),
    _of("disposition", 4, lambda object_, _: object_.status in IN_SERVICE and object_.hosting is not Hosting.QAZTECH),
    _of("disposition_due", 2, lambda object_, _: object_.disposition not in {None, Disposition.KEEP}),
    _of("result", 4, _status_in(IN_SERVICE | ENDED)),
    _of("ai", 2, _software(_HELD)),
    _Field(field="costs", weight=6, due=_software(IN_SERVICE), there=_upkeep_there),
    _document(DocumentType.TECHNICAL_ASSIGNMENT, 3, _software(_MADE)),
    _document(DocumentType.TRIAL_ORDER, 3, _software(frozenset({Status.TRIAL, Status.SECURITY_TESTS}))),
    _document(DocumentType.SECURITY_TEST, 5, _software(IN_SERVICE)),
    _document(DocumentType.COMMISSIONING_ACT, 5, _software(IN_SERVICE)),
    _document(DocumentType.ARCHIVE_ACT, 4, _status_in(frozenset({Status.ARCHIVED, Status.WRITTEN_OFF}))),
    _Field(
        field="roles",
        weight=5,
        due=_status_in(_HELD),
        there=lambda object_, register: bool(register.of(RoleHolder, object_.id)),
    ),
    _Field(
        field="signals",
        weight=3,
        due=lambda object_, _: object_.use_channel in _PEOPLE and object_.status in IN_SERVICE,
        there=lambda object_, register: bool(register.of(Signal, object_.id)),
    ),
    _Field(
        field="ai_cards",
        weight=5,
        due=lambda object_, _: bool(object_.ai),
        there=lambda object_, register: bool(register.of(AiCard, object_.id)),
    ),
    _Field(
        field="migration",
        weight=4,
        due=lambda object_, _: object_.disposition is Disposition.MIGRATE and object_.status in IN_SERVICE,
        there=lambda object_, register: bool(register.of(Migration, object_.id)),
    ),
    _Field(
        field="interfaces",
        weight=3,
        due=_provides,
        there=lambda object_, register: bool(register.of(Interface, object_.id)),
    ),
)


def _disagreeing(object_: DigitalObject, register: Register, today: date) -> Iterator[Gap]:
    """The checks that a record does not pass: the slug of each as a gap's field."""
    for slug, (weight, fails) in _CHECKS.items():
        if fails(object_, register, today):
            yield Gap(what="inconsistent", field=slug, weight=weight)


def _unknown_body(object_: DigitalObject, register: Register, _today: date) -> bool:
    bins = (object_.owner_bin, object_.holder_bin, object_.operator_bin)
    return any(each is not None and each not in register.organisations for each in bins)


def _before_it_began(object_: DigitalObject, _register: Register, _today: date) -> bool:
    since, created = object_.status_since, object_.created
    return since is not None and created is not None and since < created


def _in_future(object_: DigitalObject, register: Register, today: date) -> bool:
    days = [object_.status_since, object_.actualised]
    days += [document.date for document in register.of(Document, object_.id)]
    return any(day is not None and day > today for day in days)


def _foreign_subsystem(object_: DigitalObject, _register: Register, _today: date) -> bool:
    bins = {object_.owner_bin, object_.holder_bin, object_.operator_bin}
    return any((parts := each.split("/"))[2:3] and parts[2] not in bins for each in object_.subsystems)


def _unknown_partner(object_: DigitalObject, register: Register, _today: date) -> bool:
    rows = register.of(Integration, object_.id)
    return any({row.consumer_object, row.provider_object} - set(register.objects) for row in rows)


def _contract_ends_first(object_: DigitalObject, register: Register, _today: date) -> bool:
    rows = register.of(Contract, object_.id)
    return any(row.signed is not None and row.ends is not None and row.ends < row.signed for row in rows)


def _region_gone(object_: DigitalObject, _register: Register, today: date) -> bool:
    code = object_.kato
    return code is not None and (ended(code, today) is not None or region_of(code, today) is None)


def _backbone_without_identity(object_: DigitalObject, _register: Register, _today: date) -> bool:
    return object_.use_channel is UseChannel.BACKBONE and not object_.subsystems


def _unknown_source(object_: DigitalObject, register: Register, _today: date) -> bool:
    return any(each.split(":", 1)[0] not in register.objects for each in object_.register_data)


def _signed_by_nobody(object_: DigitalObject, register: Register, _today: date) -> bool:
    return any(not signal.signed_by for signal in register.of(Signal, object_.id))


_CHECKS: Final[dict[str, tuple[int, Callable[[DigitalObject, Register, date], bool]]]] = {
    "unknown_body": (4, _unknown_body),
    "before_it_began": (3, _before_it_began),
    "in_future": (3, _in_future),
    "foreign_subsystem": (3, _foreign_subsystem),
    "unknown_partner": (3, _unknown_partner),
    "contract_ends_first": (2, _contract_ends_first),
    "region_gone": (2, _region_gone),
    "backbone_without_identity": (3, _backbone_without_identity),
    "unknown_source": (2, _unknown_source),
    "signal_not_signed": (2, _signed_by_nobody),
}

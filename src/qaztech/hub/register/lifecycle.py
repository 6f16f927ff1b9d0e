"""The life of a digital object as a status machine with rules that can be checked (Digital Code art. 84-91).

Each rule is a pure function of an object, the registry, the law and a day, and says what stands against it, with
facts. What a body declares is kept as declared, and what it breaks is shown (`violations`); a change of status by a
person here is refused where it breaks the order or lacks its papers (`refuse_change`). Not here: detectors' findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec

from qaztech.core.errors import Conflict
from qaztech.hub.detectors.finding import Fact
from qaztech.hub.detectors.reading import (
    ENDED,
    IN_SERVICE,
    documents,
    fact,
    first_day,
    in_service,
    law_fact,
    money,
    paid,
)
from qaztech.hub.register.law import Law
from qaztech.hub.register.rows import (
    Contract,
    Cost,
    CostKind,
    DigitalObject,
    Document,
    DocumentType,
    Integration,
    IntegrationStatus,
    Status,
)
from qaztech.hub.register.snapshot import Register

# From each status, where an object may go. A trial that fails goes back to creation, tests that fail to the trial;
# what never worked is archived without having ceased; what was developed or modified is tried and tested again.
ALLOWED: Final[Mapping[Status, frozenset[Status]]] = {
    Status.PLANNING: frozenset({Status.CREATION, Status.ARCHIVED}),
    Status.CREATION: frozenset({Status.TRIAL, Status.ARCHIVED}),
    Status.TRIAL: frozenset({Status.SECURITY_TESTS, Status.CREATION, Status.CEASED}),
    Status.SECURITY_TESTS: frozenset({Status.COMMISSIONED, Status.TRIAL, Status.CEASED}),
    Status.COMMISSIONED: frozenset({Status.OPERATION}),
    Status.OPERATION: frozenset({Status.DEVELOPMENT, Status.MODIFICATION, Status.CEASED}),
    Status.DEVELOPMENT: frozenset({Status.TRIAL, Status.OPERATION, Status.CEASED}),
    Status.MODIFICATION: frozenset({Status.SECURITY_TESTS, Status.OPERATION, Status.CEASED}),
    Status.CEASED: frozenset({Status.ARCHIVED}),
    Status.ARCHIVED: frozenset({Status.WRITTEN_OFF}),
    Status.WRITTEN_OFF: frozenset(),
}
_AFTER_PLANNING: Final = frozenset(Status) - {Status.PLANNING} - ENDED
_AFTER_TRIAL: Final = IN_SERVICE | {Status.SECURITY_TESTS}
_ORDER: Final = (
    DocumentType.TRIAL_ORDER,
    DocumentType.TRIAL_ACT,
    DocumentType.SECURITY_TEST,
    DocumentType.COMMISSIONING_ACT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that an object's record does not keep: the rule's slug, the provision (law data), the facts."""

    rule: str
    reference: str
    facts: tuple[Fact, ...]


Check = Callable[[DigitalObject, Register, Law, date], Iterable[tuple[Fact, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the life cycle. `bars` tells that a person may not change the status against it."""

    slug: str
    reference: str
    check: Check
    bars: bool = True


def trial_begun(object_: DigitalObject, register: Register) -> Fact | None:
    """The day since which an object is in its present trial, as a fact.

    The first trial order after the last act that ended a trial; where there is none, the day of the status. None
    where an act has ended the trial since, or no day is declared.
    """
    acts = documents(register, object_, DocumentType.TRIAL_ACT)
    ended = max((act.date for act in acts if act.date is not None), default=None)
    orders = documents(register, object_, DocumentType.TRIAL_ORDER)
    later = first_day(order for order in orders if ended is None or (order.date is not None and order.date > ended))
    since = object_.status_since
    if acts and later is None and (ended is None or since is None or since <= ended):
        return None
    if later is not None and (since is None or later[0] <= since):
        return fact("trial_order", later[0], later[1], "date", later[0])
    return None if since is None else fact("status_since", since, object_, "status_since")


def modification_share(object_: DigitalObject, register: Register) -> int | None:
    """What modifications of all years cost together, in tenge; None without a first estimate to measure by."""
    if not object_.initial_estimate:
        return None
    costs = [cost for cost in register.of(Cost, object_.id) if cost.kind is CostKind.MODIFICATION]
    return sum(cost.tenge for cost in paid(costs))


def owners_to_notify(object_: DigitalObject, register: Register) -> dict[str, tuple[Integration, ...]]:
    """The owners of objects that are integrated with this one (BIN), with the integrations; its own owner not."""
    owners: dict[str, tuple[Integration, ...]] = {}
    for integration in register.of(Integration, object_.id):
        ends = (integration.consumer_object, integration.provider_object)
        if integration.status is IntegrationStatus.PLANNED:
            continue
        other = register.objects.get(ends[0] if ends[1] == object_.id else ends[1])
        if other is not None and other.owner_bin and other.owner_bin != object_.owner_bin:
            owners[other.owner_bin] = (*owners.get(other.owner_bin, ()), integration)
    return owners


def may_be_written_off(object_: DigitalObject, register: Register) -> tuple[Fact, ...]:
    """Facts that platform products do all that this object does (art. 90), so that it may be written off; else none."""
    products = [register.objects.get(product) for product in object_.platform_products]
    standing = [product for product in products if product is not None and in_service(product)]
    functions = {function for product in standing for function in product.functions}
    if not standing or len(standing) < len(products) or not functions.issuperset(object_.functions):
        return ()
    return (
        fact("platform_products", "; ".join(product.id for product in standing), object_, "platform_products"),
        *(fact("functions", "; ".join(product.functions), product, "functions") for product in standing),
    )


def violations(object_: DigitalObject, register: Register, law: Law, today: date) -> list[Violation]:
    """What of the life cycle's rules this object's record does not keep, in the order of the stages."""
    return [
        Violation(rule=rule.slug, reference=rule.reference, facts=facts)
        for rule in RULES
        for facts in rule.check(object_, register, law, today)
    ]


def change_violations(object_: DigitalObject, to: Status, register: Register, law: Law, today: date) -> list[Violation]:
    """What stands against this object's going to a status today: the order of stages, then papers that it needs."""
    found = []
    if object_.status is not None and to not in ALLOWED[object_.status]:
        facts = (fact("status", object_.status.value, object_, "status"), Fact(what="to", value=to.value, source=""))
        found.append(Violation(rule="order", reference="code.84", facts=facts))
    then = msgspec.structs.replace(object_, status=to, status_since=today)
    barring = {rule.slug for rule in RULES if rule.bars}
    before = {each.rule for each in violations(object_, register, law, today)}  # what is so already bars nothing
    new = [each for each in violations(then, register, law, today) if each.rule not in before]
    return found + [each for each in new if each.rule in barring]


def refuse_change(object_: DigitalObject, to: Status, register: Register, law: Law, today: date) -> None:
    """Raise `Conflict` where this object may not go to a status today; its detail names the rules."""
    found = change_violations(object_, to, register, law, today)
    if found:
        names = ", ".join(dict.fromkeys(each.rule for each in found))
        raise Conflict("lifecycle.refused", f"{object_.id} may not become {to.value}: {names}", at="caller")


def _status(object_: DigitalObject) -> Fact:
    return fact("status", object_.status.value if object_.status else "", object_, "status")


def _without(kind: DocumentType, statuses: frozenset[Status]) -> Check:
    """In one of these statuses there must be a document of this type."""

    def check(object_: DigitalObject, register: Register, _law: Law, _today: date) -> Iterable[tuple[Fact, ...]]:
        if object_.status in statuses and not documents(register, object_, kind):
            missing = Fact(what=f"no_{kind.value}", value="", source=f"objects/{object_.key}/documents")
            yield _status(object_), missing

    return check


def _no_normative_document(
    object_: DigitalObject, register: Register, _law: Law, _today: date
) -> Iterable[tuple[Fact, ...]]:
    kinds = (DocumentType.TECHNICAL_ASSIGNMENT, DocumentType.CONCEPT)
    if object_.status in _AFTER_PLANNING and not any(documents(register, object_, kind) for kind in kinds):
        missing = Fact(what="no_normative_document", value="", source=f"objects/{object_.key}/documents")
        yield _status(object_), missing


def _developed_before(
    object_: DigitalObject, register: Register, _law: Law, _today: date
) -> Iterable[tuple[Fact, ...]]:
    """Money for development in a year before the one of commissioning."""
    found = first_day(documents(register, object_, DocumentType.COMMISSIONING_ACT))
    if found is None:
        return
    early = [
        cost
        for cost in paid(register.of(Cost, object_.id))
        if cost.kind is CostKind.DEVELOPMENT and cost.year < found[0].year
    ]
    if early:
        _, facts = money(early, "development")
        yield fact("commissioned", found[0], found[1], "date", found[0]), *facts


def _trial_over(object_: DigitalObject, register: Register, law: Law, today: date) -> Iterable[tuple[Fact, ...]]:
    most = law.number("trial_days", today)
    begun = trial_begun(object_, register) if object_.status is Status.TRIAL else None
    if most is None:
        return
    if begun is not None and (today - date.fromisoformat(str(begun.value))).days > most:
        yield _status(object_), begun, law_fact(law, "trial_days", today)
    order = first_day(documents(register, object_, DocumentType.TRIAL_ORDER))
    act = first_day(documents(register, object_, DocumentType.TRIAL_ACT))
    if order is not None and act is not None and (act[0] - order[0]).days > most:
        yield (
            fact("trial_order", order[0], order[1], "date", order[0]),
            fact("trial_act", act[0], act[1], "date", act[0]),
            law_fact(law, "trial_days", today),
        )


def _out_of_order(object_: DigitalObject, register: Register, _law: Law, _today: date) -> Iterable[tuple[Fact, ...]]:
    """A document of a stage that is older than the one of the stage before it."""
    last: tuple[date, Document] | None = None
    for kind in _ORDER:
        found = first_day(documents(register, object_, kind))
        if found is not None and last is not None and found[0] < last[0]:
            yield (
                fact(last[1].type.value, last[0], last[1], "date", last[0]),
                fact(kind.value, found[0], found[1], "date", found[0]),
            )
        last = found or last


def _short_warranty(object_: DigitalObject, register: Register, law: Law, today: date) -> Iterable[tuple[Fact, ...]]:
    """No contract made before commissioning gives a warranty of a year from it, though one gives a warranty."""
    begun = first_day(documents(register, object_, DocumentType.COMMISSIONING_ACT))
    least = law.number("warranty_days", today)
    if begun is None or least is None:
        return
    given = [
        (contract.warranty_until, contract)
        for contract in register.of(Contract, object_.id)
        if contract.warranty_until is not None and contract.signed is not None and contract.signed <= begun[0]
    ]
    longest = max(given, key=lambda pair: pair[0], default=None)
    if longest is not None and begun[0] <= longest[0] < begun[0] + timedelta(days=least):
        yield (
            fact("commissioned", begun[0], begun[1], "date", begun[0]),
            fact("warranty_until", longest[0], longest[1], "warranty_until"),
            law_fact(law, "warranty_days", today),
        )


def _modified_too_much(object_: DigitalObject, register: Register, law: Law, today: date) -> Iterable[tuple[Fact, ...]]:
    share = modification_share(object_, register)
    most = law.number("modification_percent", today)
    estimate = object_.initial_estimate
    if share is not None and most is not None and estimate and share * 100 > most * estimate:
        source = f"objects/{object_.key}/costs"
        yield (
            fact("initial_estimate", estimate, object_, "initial_estimate"),
            Fact(what="modification", value=share, source=source),
            law_fact(law, "modification_percent", today),
        )


def _modified_without_consent(
    object_: DigitalObject, register: Register, _law: Law, _today: date
) -> Iterable[tuple[Fact, ...]]:
    share = modification_share(object_, register)
    modified = object_.status is Status.MODIFICATION or bool(share)
    if modified and not documents(register, object_, DocumentType.MODIFICATION_CONSENT):
        missing = Fact(what="no_modification_consent", value="", source=f"objects/{object_.key}/documents")
        yield _status(object_), missing


def _not_notified(object_: DigitalObject, register: Register, _law: Law, _today: date) -> Iterable[tuple[Fact, ...]]:
    """Ceased, and there are fewer notices than owners of integrated objects."""
    if object_.status not in ENDED:
        return
    owners = owners_to_notify(object_, register)
    notices = len(documents(register, object_, DocumentType.CESSATION_NOTICE))
    if notices < len(owners):
        told = tuple(fact("to_notify", owner, integrations[0], "id") for owner, integrations in sorted(owners.items()))
        yield Fact(what="notices", value=notices, source=f"objects/{object_.key}/documents"), *told


def _still_integrated(
    object_: DigitalObject, register: Register, _law: Law, _today: date
) -> Iterable[tuple[Fact, ...]]:
    if object_.status in ENDED:
        active = [
            integration
            for integration in register.of(Integration, object_.id)
            if integration.status is IntegrationStatus.ACTIVE
        ]
        if active:
            yield _status(object_), *(fact("integration", row.id, row, "status") for row in active)


def _no_ground(object_: DigitalObject, register: Register, _law: Law, _today: date) -> Iterable[tuple[Fact, ...]]:
    """Written off, and neither was it ceased with notice nor do platform products do what it did."""
    if object_.status is not Status.WRITTEN_OFF or documents(register, object_, DocumentType.CESSATION_NOTICE):
        return
    if not may_be_written_off(object_, register):
        yield (
            _status(object_),
            fact("platform_products", "; ".join(object_.platform_products), object_, "platform_products"),
        )


def _code_not_kept(object_: DigitalObject, _register: Register, _law: Law, _today: date) -> Iterable[tuple[Fact, ...]]:
    if object_.status in {Status.ARCHIVED, Status.WRITTEN_OFF} and object_.source_code_deposited is False:
        yield _status(object_), fact("source_code_deposited", "no", object_, "source_code_deposited")


def _future(object_: DigitalObject, _register: Register, _law: Law, today: date) -> Iterable[tuple[Fact, ...]]:
    if object_.status_since is not None and object_.status_since > today:
        yield _status(object_), fact("status_since", object_.status_since, object_, "status_since")


RULES: Final = (
    Rule(
        slug="no_digital_conclusion",
        reference="code.85",
        check=_without(DocumentType.DIGITAL_CONCLUSION, frozenset({Status.CREATION})),
    ),
    Rule(
        slug="no_security_conclusion",
        reference="code.85",
        check=_without(DocumentType.SECURITY_CONCLUSION, frozenset({Status.CREATION})),
    ),
    Rule(slug="no_normative_document", reference="code.85", check=_no_normative_document),
    Rule(
        slug="development_before_commissioning",
        reference="code.85",
        check=_without(DocumentType.COMMISSIONING_ACT, frozenset({Status.DEVELOPMENT})),
    ),
    Rule(slug="developed_before_commissioning", reference="code.85", check=_developed_before, bars=False),
    Rule(
        slug="no_trial_order",
        reference="code.86",
        check=_without(DocumentType.TRIAL_ORDER, frozenset({Status.TRIAL})),
    ),
    Rule(slug="trial_too_long", reference="code.86", check=_trial_over, bars=False),
    Rule(slug="no_trial_act", reference="code.86", check=_without(DocumentType.TRIAL_ACT, _AFTER_TRIAL)),
    Rule(slug="no_security_test", reference="code.99", check=_without(DocumentType.SECURITY_TEST, IN_SERVICE)),
    Rule(slug="no_commissioning_act", reference="code.87", check=_without(DocumentType.COMMISSIONING_ACT, IN_SERVICE)),
    Rule(slug="out_of_order", reference="code.84", check=_out_of_order, bars=False),
    Rule(slug="short_warranty", reference="code.87", check=_short_warranty, bars=False),
    Rule(slug="modified_without_consent", reference="code.88", check=_modified_without_consent),
    Rule(slug="modified_over_limit", reference="code.88", check=_modified_too_much),
    Rule(slug="not_notified", reference="code.89", check=_not_notified),
    Rule(slug="still_integrated", reference="code.89", check=_still_integrated),
    Rule(
        slug="no_archive_act",
        reference="code.90",
        check=_without(DocumentType.ARCHIVE_ACT, frozenset({Status.ARCHIVED, Status.WRITTEN_OFF})),
    ),
    Rule(slug="code_not_kept", reference="code.90", check=_code_not_kept),
    Rule(slug="no_ground_to_write_off", reference="code.90", check=_no_ground),
    Rule(slug="status_in_future", reference="code.71", check=_future, bars=False),
)

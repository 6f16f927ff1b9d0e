"""Detectors that follow from an object's status, documents and money: trial, modification, legal vacuum, result.

4 trial_too_long, 5 modification_over_limit, 6 legal_vacuum, 14 zero_result, 15 after_moratorium.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from qaztech.hub.detectors.finding import NOT_TOLD, Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import (
    BEFORE_SERVICE,
    ENDED,
    INVESTMENT,
    documents,
    fact,
    in_life,
    in_service,
    invested,
    law_fact,
    limit,
    money,
    objects,
    of_state,
    organisation_of,
    paid,
    spent,
    upkeep,
)
from qaztech.hub.detectors.use import seen_use
from qaztech.hub.observation import Observability
from qaztech.hub.register.lifecycle import modification_share, trial_begun
from qaztech.hub.register.rows import (
    Acquisition,
    Cost,
    CostKind,
    DigitalObject,
    Document,
    DocumentType,
    Hosting,
    Status,
)

MISSING = {DocumentType.COMMISSIONING_ACT: "no_commissioning_act", DocumentType.SECURITY_TEST: "no_security_test"}


def trial_too_long(case: Case) -> Iterator[Finding]:
    """In trial for more than the law's year, without an act that ends it."""
    for object_ in objects(case):
        begun = trial_begun(object_, case.register)
        if object_.status is not Status.TRIAL or begun is None:
            continue
        days = (case.today - date.fromisoformat(str(begun.value))).days
        if days > limit(case, "trial_days"):
            total, facts = invested(case, object_)
            status = fact("status", Status.TRIAL.value, object_, "status")
            allowed = law_fact(case.law, "trial_days", case.today)
            evidence = (status, begun, *facts, allowed)
            yield Finding(
                detector="trial_too_long",
                objects=(object_.id,),
                evidence=evidence,
                confidence=1.0,
                money=total or None,
                money_of=MoneyOf.INVESTED,
            )


def modification_over_limit(case: Case) -> Iterator[Finding]:
    """Modifications paid in all years together cost more than the law's share of the first estimate."""
    for object_ in objects(case):
        share = modification_share(object_, case.register)
        allowed = limit(case, "modification_percent")
        if share is None or object_.initial_estimate is None or share * 100 <= allowed * object_.initial_estimate:
            continue
        costs = [c for c in case.register.of(Cost, object_.id) if c.kind is CostKind.MODIFICATION]
        total, facts = money(paid(costs), "modification")
        estimate = fact("initial_estimate", object_.initial_estimate, object_, "initial_estimate")
        yield Finding(
            detector="modification_over_limit",
            objects=(object_.id,),
            evidence=(estimate, *facts, law_fact(case.law, "modification_percent", case.today)),
            confidence=1.0,
            money=total - allowed * object_.initial_estimate // 100,
            money_of=MoneyOf.OVER_LIMIT,
        )


def legal_vacuum(case: Case) -> Iterator[Finding]:
    """Operated without the commissioning act or the security test, or used by many in a stage that comes before."""
    for object_ in objects(case):
        missing = _missing_documents(case, object_) if in_service(object_) else ()
        status = fact("status", object_.status.value if object_.status else "", object_, "status")
        if missing and not case.register.of(Document, object_.id):
            yield _asks_for_documents(object_, status)
        elif missing or (use := _mass_use(case, object_)):
            total, facts = upkeep(case, object_)
            yield Finding(
                detector="legal_vacuum",
                objects=(object_.id,),
                evidence=(status, *(missing or use), *facts),
                confidence=1.0 if missing else 0.9,
                money=total or None,
                money_of=MoneyOf.UPKEEP,
                observability=None if missing else Observability.PARTIAL,
            )


def _asks_for_documents(object_: DigitalObject, status: Fact) -> Finding:
    """No paper of any kind is declared: whoever sent no papers may well have them, so they are asked for."""
    none = Fact(what="no_document", value="", source=f"objects/{object_.key}/documents", as_of=object_.actualised)
    return Finding(
        detector="legal_vacuum",
        objects=(object_.id,),
        evidence=(status, none),
        confidence=NOT_TOLD,
        asks="documents",
    )


def _missing_documents(case: Case, object_: DigitalObject) -> tuple[Fact, ...]:
    return tuple(
        Fact(what=what, value="", source=f"objects/{object_.key}/documents", as_of=object_.actualised)
        for kind, what in MISSING.items()
        if not documents(case.register, object_, kind)
    )


def _mass_use(case: Case, object_: DigitalObject) -> tuple[Fact, ...]:
    """Use by many though the object is not commissioned (in a trial: longer than the law's year), or no more."""
    use = seen_use(case, object_)
    since = object_.status_since
    if object_.status not in BEFORE_SERVICE | ENDED or use.monthly < limit(case, "mass_use_per_month"):
        return ()
    if object_.status in ENDED and (since is None or case.traffic.since is None or since >= case.traffic.since):
        return ()
    if object_.status is Status.TRIAL:
        begun = trial_begun(object_, case.register)
        days = 0 if begun is None else (case.today - date.fromisoformat(str(begun.value))).days
        if days <= limit(case, "trial_days"):
            return ()
    return (*use.facts, law_fact(case.law, "mass_use_per_month", case.today))


def zero_result(case: Case) -> Iterator[Finding]:
    """Money was paid to create or develop it in past years, and no result is declared; this year's is too early."""
    kinds = {CostKind.CREATION, CostKind.DEVELOPMENT}
    for object_ in objects(case):
        if object_.result:
            continue
        spent_before = [c for c in case.register.of(Cost, object_.id) if c.kind in kinds and c.year < case.today.year]
        total, facts = money(paid(spent_before), "invested")
        begun = object_.created or min((date(c.year, 12, 31) for c in spent_before), default=None)
        if begun is None or (case.today - begun).days <= limit(case, "zero_result_days"):
            continue
        if total > limit(case, "zero_result_tenge"):
            none = fact("no_result", "", object_, "result")
            age = fact("created", begun, object_, "created"), law_fact(case.law, "zero_result_days", case.today)
            yield Finding(
                detector="zero_result",
                objects=(object_.id,),
                evidence=(none, *age, *facts),
                confidence=0.9,
                money=total,
                money_of=MoneyOf.INVESTED,
            )


def after_moratorium(case: Case) -> Iterator[Finding]:
    """Begun by a state or quasi-state body after the moratorium, outside the platform, without an exemption."""
    since = case.law.day("moratorium_since", case.today)
    for object_ in objects(case):
        if since is None or object_.created is None or object_.created < since or not in_life(object_):
            continue
        if object_.hosting not in {Hosting.OWN, Hosting.COMMERCIAL} or not of_state(case.register, object_):
            continue
        if object_.acquisition is Acquisition.PLATFORM_PRODUCT or _exempt(case, object_):
            continue
        owner = organisation_of(case.register, object_)
        total, facts = _planned_and_paid(case, object_)
        evidence = [fact("created", object_.created, object_, "created")]
        evidence.append(fact("hosting", object_.hosting.value, object_, "hosting"))
        if owner is not None and owner.class_ is not None:
            evidence.append(fact("owner_class", owner.class_.value, owner, "class"))
        evidence.append(fact("no_exemption", "", object_, "exemption"))
        yield Finding(
            detector="after_moratorium",
            objects=(object_.id,),
            evidence=(*evidence, *facts, law_fact(case.law, "moratorium_since", case.today)),
            confidence=1.0,
            money=total or None,
            money_of=MoneyOf.INVESTED,
        )


def _exempt(case: Case, object_: DigitalObject) -> bool:
    """Whether an exemption is named, or stands among the documents and has not run out."""
    if object_.exemption:
        return True
    found = documents(case.register, object_, DocumentType.EXEMPTION)
    return any(document.valid_until is None or document.valid_until >= case.today for document in found)


def _planned_and_paid(case: Case, object_: DigitalObject) -> tuple[int, tuple[Fact, ...]]:
    return money(spent(c for c in case.register.of(Cost, object_.id) if c.kind in INVESTMENT), "invested")


DETECTORS = (
    Detector(slug="trial_too_long", detect=trial_too_long, deterministic=True, references=("code.86",)),
    Detector(
        slug="modification_over_limit", detect=modification_over_limit, deterministic=True, references=("code.88",)
    ),
    Detector(
        slug="legal_vacuum", detect=legal_vacuum, deterministic=True, references=("code.87", "code.99", "code.71")
    ),
    Detector(slug="zero_result", detect=zero_result, deterministic=True, references=("center.settings",)),
    Detector(
        slug="after_moratorium",
        detect=after_moratorium,
        deterministic=True,
        references=("decree.2025-12-10", "code.82"),
    ),
)

"""Detectors of what is declared: 7 stale_record, 18 ai_unclassified, 20 idle_compute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import fact, in_life, law_fact, limit, months_back, objects, upkeep, years_before
from qaztech.hub.register.rows import AiCard, Compute, DigitalObject


def stale_record(case: Case) -> Iterator[Finding]:
    """In life, and its body has not confirmed the record for long, or never."""
    for object_ in objects(case):
        confirmed = object_.actualised
        if not in_life(object_):
            continue
        if confirmed is not None and (case.today - confirmed).days <= limit(case, "stale_days"):
            continue
        told = fact("never_confirmed", "", object_, "actualised")
        if confirmed is not None:
            told = fact("confirmed", confirmed, object_, "actualised", confirmed)
        yield Finding(
            detector="stale_record",
            objects=(object_.id,),
            evidence=(told, law_fact(case.law, "stale_days", case.today)),
            confidence=1.0,
        )


def ai_unclassified(case: Case) -> Iterator[Finding]:
    """AI without a card, a risk class, a review within the year, or a mark on what it makes."""
    for object_ in objects(case):
        if not object_.ai or not in_life(object_):
            continue
        lacks = _lacks(case, object_)
        if lacks:
            total, facts = upkeep(case, object_)
            yield Finding(
                detector="ai_unclassified",
                objects=(object_.id,),
                evidence=(fact("ai", "yes", object_, "ai"), *lacks, *facts),
                confidence=1.0,
                money=total or None,
                money_of=MoneyOf.UPKEEP,
            )


def _lacks(case: Case, object_: DigitalObject) -> list[Fact]:
    cards = case.register.of(AiCard, object_.id)
    if not cards:
        return [Fact(what="no_ai_card", value="", source=f"objects/{object_.key}/ai_cards", as_of=object_.actualised)]
    card, lacks = cards[0], []
    if card.risk is None:
        lacks.append(fact("no_risk_class", "", card, "risk"))
    if card.reviewed is None:
        lacks.append(fact("never_reviewed", "", card, "reviewed"))
    elif card.reviewed < _months_before(case.today, limit(case, "ai_review_months")):
        limits = law_fact(case.law, "ai_review_months", case.today)
        lacks += [fact("reviewed", card.reviewed, card, "reviewed", card.reviewed), limits]
    if card.output_labelled is False:
        lacks.append(fact("output_not_labelled", "no", card, "output_labelled"))
    return lacks


def _months_before(today: date, months: int) -> date:
    """The day so many months ago, not after the 28th where months are no whole years."""
    years, rest = divmod(months, 12)
    back = years_before(today, years)
    if not rest:
        return back
    number = back.year * 12 + back.month - 1 - rest
    return date(number // 12, number % 12 + 1, min(back.day, 28))


def idle_compute(case: Case) -> Iterator[Finding]:
    """Accelerator hours were allocated for months, and next to none were used."""
    months = set(months_back(case.today, 12))
    for object_ in objects(case):
        rows = [row for row in case.register.of(Compute, object_.id) if row.month in months]
        known = sorted(
            (row for row in rows if row.gpu_hours_allocated and row.gpu_hours_used is not None),
            key=lambda row: row.month,
        )
        allocated = sum(row.gpu_hours_allocated or 0 for row in known)
        used = sum(row.gpu_hours_used or 0 for row in known)
        if len(known) < limit(case, "idle_months") or used * 100 >= limit(case, "idle_percent") * allocated:
            continue
        told = []
        for row in known:
            for name in ("gpu_hours_allocated", "gpu_hours_used"):
                source = f"compute/{row.key}/{name}"
                told.append(Fact(what=name, value=getattr(row, name), source=source, moving=True))
        yield Finding(
            detector="idle_compute",
            objects=(object_.id,),
            evidence=(*told, law_fact(case.law, "idle_percent", case.today)),
            confidence=0.95,
        )


DETECTORS = (
    Detector(slug="stale_record", detect=stale_record, deterministic=True, references=("code.71", "center.settings")),
    Detector(
        slug="ai_unclassified",
        detect=ai_unclassified,
        deterministic=True,
        references=("ai.risk", "ai.review", "ai.mark"),
    ),
    Detector(slug="idle_compute", detect=idle_compute, deterministic=True, references=("center.settings",)),
)

"""Cards of AI systems that tests start from."""

from __future__ import annotations

from datetime import date
from hashlib import sha256

import msgspec

from qaztech.ai.register.card import (
    PROHIBITED,
    Audit,
    Card,
    Check,
    Contact,
    DataLibrary,
    Document,
    Evaluation,
    Marking,
    Model,
    Words,
)

OWNER = "KZ/GOV/991340000017"
OTHER = "KZ/GOV/991340000025"
# The day on which everything in `CARD` was done.
DAY = date(2026, 11, 2)


def words(text: str) -> Words:
    """The same words in three languages."""
    return Words(kk=f"{text} (kk)", ru=f"{text} (ru)", en=f"{text} (en)")


def digest(text: str) -> str:
    """A digest of something."""
    return sha256(text.encode()).hexdigest()


KINDS = (
    "user-agreement", "description", "risk-assessment", "data-passport", "test-report", "security", "human-oversight",
)  # fmt: skip
# A high-risk system that lacks nothing.
CARD = Card(
    id="call-triage",
    owner=OWNER,
    system="health",
    names=words("Triage of calls"),
    purpose=words("Sorts calls to the ambulance by urgency"),
    decides=words("The order in which a doctor hears calls"),
    models=(Model(name="steppe-8b", version="2026-09", maker="University"),),
    data=(DataLibrary(name="Calls", maker="Ministry", use="tuning", basis="94-V, art. 7", data_class="personal"),),
    risk="high",
    risk_reasons=words("A wrong order may cost a life"),
    autonomy="low",
    mode="local",
    highest_class="personal",
    prohibited=tuple(Check(capability=name, found=False, by="head of audit", day=DAY) for name in PROHIBITED),
    documents=tuple(Document(kind=kind, title=kind, sha256=digest(kind), day=DAY) for kind in KINDS),
    risk_review=DAY,
    audit=Audit(by="State Technical Service", day=DAY, passed=True, sha256=digest("audit")),
    marking=Marking(machine="header X-Synthetic: 1", visible=words("Made by a machine")),
    human_review=Contact(how=words("Call the doctor on duty"), address="tel:103"),
    objection=Contact(how=words("Ask the operator for a person"), address="https://health.gov.example/objection"),
    evaluation=tuple(
        Evaluation(language=language, measure="recall of urgent calls", value=value, day=DAY)
        for language, value in (("kk", 0.93), ("ru", 0.95), ("en", 0.91))
    ),
)  # fmt: skip


def at_day(card: Card, day: date) -> Card:
    """The card with everything done on another day."""
    replaced = msgspec.structs.replace
    return replaced(
        card,
        prohibited=tuple(replaced(each, day=day) for each in card.prohibited),
        documents=tuple(replaced(each, day=day) for each in card.documents),
        evaluation=tuple(replaced(each, day=day) for each in card.evaluation),
        risk_review=day,
        audit=None if card.audit is None else replaced(card.audit, day=day),
    )

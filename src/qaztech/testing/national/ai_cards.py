"""Cards of AI systems in the sample: every state and risk, with what may stand against a system. All of it made up.

A card's acts are made at the times at which they would have been, so its history reads like one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

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
    Trusted,
    Words,
)
from qaztech.ai.register.law import current_law
from qaztech.ai.register.store import METADATA, CardStore, Origin
from qaztech.ai.terms import begin_of
from qaztech.core.time import ManualClock
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import add_tables
from qaztech.testing.national.sample import Sample, embedded_bodies
from qaztech.testing.national.texts import Body, bodies

FILE: Final = Path(__file__).parent / "ai_cards.json"
# Who reviewed them, as the history tells it: no account of anybody.
REVIEWER: Final = Origin(by="analyst", role="reviewer")
# What became of each after its draft: acts with how many days ago, who and why.
_HALF: Final = (("declare", 200), ("approve", 190), ("serve", 185))
FATES: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "serves": _HALF,
    "overdue": _HALF,
    "reviewed": (("declare", 30), ("approve", 12)),
    "declared": (("declare", 21),),
    "draft": (),
    "suspended": (*_HALF, ("suspend", 9)),
    "prohibited": _HALF,
    "retired": (*_HALF, ("retire", 40)),
    "revised": (*_HALF, ("suspend", 16), ("revise", 14)),
}
# The day of the first draft, before everything: days ago.
_DRAFTED: Final = {"reviewed": 40, "declared": 25, "draft": 3}
_BEGUN: Final = 210
# The risk review of the one that is overdue: days ago.
_OVERDUE: Final = 380
# What was found in the one that has something prohibited.
_FOUND: Final = "emotion-recognition"
_REASONS: Final = {
    "suspend": "Қателер жиіледі: себебін анықтау керек (үлгі)",
    "retire": "Орнына жаңа жүйе енгізілді (үлгі)",
    "revise": "Модель ауыстырылады (үлгі)",
}
_LISTED: Final = Trusted(state="listed", kept_by="Рұқсаттар министрлігі (үлгі)")
_HOW: Final = Words(
    kk="Маманнан шешімді өзі қайта қарауын сұраңыз.",
    ru="Попросите специалиста пересмотреть решение.",
    en="Ask an official to look at the decision again.",
)
_REFUSE: Final = Words(
    kk="Өтініште жүйенің көмегінсіз қарауды сұраңыз.",
    ru="Попросите в заявлении рассмотреть его без системы.",
    en="Ask in your application to have it handled without the system.",
)
_MARK: Final = Words(
    kk="Мәтінді машина дайындады.", ru="Текст подготовила машина.", en="A machine has drafted this text."
)


def load_cards(engine: Engine, sample: Sample, today: date) -> int:
    """Put the sample's cards into a register that is empty of them; gives how many there are.

    There are none while the law on artificial intelligence is younger than they would be.
    """
    if today - timedelta(days=_BEGUN) < min(each.since for each in current_law().provisions.values()):
        return 0
    for tables in (PEOPLE, METADATA):
        add_tables(engine, tables)
    entries = json.loads(FILE.read_bytes())
    objects = {values.get("name_en"): values["id"] for table, values in sample.rows if table == "objects"}
    known = {**embedded_bodies(), **bodies()}
    for entry in entries:
        _load(engine, entry, known[entry["body"]], objects.get(entry["object"], ""), today)
    return len(entries)


def _load(engine: Engine, entry: dict[str, Any], body: Body, object_: str, today: date) -> None:
    clock = ManualClock(0)
    store, fate = CardStore(engine, clock), entry["fate"]
    drafted = today - timedelta(days=_DRAFTED.get(fate, _BEGUN))
    clock.advance(begin_of(drafted) + _nine(entry["id"]))
    card = _card(entry, body, object_, drafted, today)
    owner = Origin(by=f"{card.owner}/{card.system}", role="owner")
    kept = store.put(card, owner, version=0)
    for act, ago in FATES[fate]:
        clock.advance(begin_of(today - timedelta(days=ago)) + _nine(entry["id"] + act) - clock.now())
        # What is held up by the center is told so; the rest are its owner's acts.
        centre = act == "approve" or (act == "suspend" and fate == "suspended")
        kept = store.act(
            card.id, act, REVIEWER if centre else owner, reason=_REASONS.get(act, ""), version=kept.version
        )
    if fate == "prohibited":
        clock.advance(begin_of(today - timedelta(days=5)) + _nine(card.id) - clock.now())
        store.put(_with_finding(card, today), owner, version=kept.version)


def _card(entry: dict[str, Any], body: Body, object_: str, drafted: date, today: date) -> Card:
    done = drafted - timedelta(days=4)
    model = Model(name=entry["model"], version="2026-05", maker="Digital Yurt (demo)", residency=entry["residency"])
    whole = Card(
        id=entry["id"], owner=f"KZ/{body.class_}/{body.bin}", system=entry["system"], object=object_,
        names=Words(**entry["names"]), purpose=Words(**entry["purpose"]), decides=Words(**entry["decides"]),
        risk_reasons=Words(**entry["risk_reasons"]), models=(model,), risk=entry["risk"], autonomy=entry["autonomy"],
        mode=entry["mode"], highest_class=entry["highest_class"],
    )  # fmt: skip
    if entry["fate"] == "draft":
        return whole
    review = today - timedelta(days=_OVERDUE) if entry["fate"] == "overdue" else done
    high = entry["risk"] == "high"
    return msgspec.structs.replace(
        whole,
        data=(
            DataLibrary(
                name=entry["library"]["kk"], maker=body.names.kk, use=entry["use"],
                basis="94-V, 7-бап" if entry["highest_class"] in {"personal", "restricted"} else "418-V",
                data_class=entry["highest_class"], personal=entry["highest_class"] in {"personal", "restricted"},
            ),
        ),
        prohibited=tuple(
            Check(capability=name, found=False, by="ішкі бақылау қызметі (үлгі)", day=done) for name in PROHIBITED
        ),
        documents=tuple(
            Document(kind=each.kind, title=f"{each.kk} (үлгі)", sha256=_digest(entry["id"], each.kind), day=done)
            for each in current_law().documents(entry["risk"], drafted)
        ),
        risk_review=review,
        audit=Audit(by="Сынақ зертханасы (үлгі)", day=done, passed=True, sha256=_digest(entry["id"], "audit"))
        if high
        else None,
        trusted=_LISTED if entry["id"] == "permit-order" else Trusted(),
        marking=Marking(machine="X-AI-Generated: 1", visible=_MARK) if entry["synthetic"] else Marking(synthetic=False),
        human_review=Contact(how=_HOW, address="tel:1414"),
        objection=Contact(how=_REFUSE, address=f"https://{entry['system']}.example/ai"),
        evaluation=tuple(
            Evaluation(language=language, measure="F1", value=value, sample="500", day=done)
            for language, value in _values(entry["id"])
        ),
    )  # fmt: skip


def _with_finding(card: Card, today: date) -> Card:
    """Somebody has looked again and found what article 17 (3) prohibits."""
    found = today - timedelta(days=6)
    return msgspec.structs.replace(
        card,
        prohibited=tuple(
            msgspec.structs.replace(check, found=True, day=found)
            if check.capability == "emotion-recognition"
            else check
            for check in card.prohibited
        ),
    )


def _values(identifier: str) -> list[tuple[Any, float]]:
    """Made-up results by language: always the same for the same card."""
    seed = sha256(identifier.encode()).digest()
    return [(language, 0.8 + seed[place] / 2000) for place, language in enumerate(("kk", "ru", "en"))]


def _digest(*parts: str) -> str:
    return sha256("/".join(("national sample", *parts)).encode()).hexdigest()


def _nine(seed: str) -> int:
    """A time of a working day, in milliseconds: always the same for the same seed."""
    return (9 * 60 + sha256(seed.encode()).digest()[0] * 2) * 60_000

"""The sample's AI systems: every state and risk, and what may stand against one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from qaztech.ai.register.findings import findings
from qaztech.ai.register.life import STATES
from qaztech.ai.register.store import METADATA, CardStore
from qaztech.ai.terms import RISKS, begin_of
from qaztech.core.time import ManualClock
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.testing.national.ai_cards import load_cards
from qaztech.testing.national.sample import national_sample

TODAY = date(2026, 11, 23)


def test_the_sample_has_cards_of_every_state_and_risk(tmp_path: Path) -> None:
    """In service, overdue, with something prohibited, suspended; whatever day the country is founded on."""
    sample = national_sample(TODAY)
    for number, today in enumerate((TODAY, date(2028, 2, 29))):
        now = begin_of(today) + 43_200_000
        engine = open_database(sqlite_url(tmp_path / f"{number}.db"), METADATA)
        count = load_cards(engine, sample, today)
        store = CardStore(engine, ManualClock(now))
        kept = store.cards()
        assert len(kept) == count == 13
        assert {each.state for each in kept} == set(STATES)
        assert {each.card.risk for each in kept} == set(RISKS)
        whys = [each.why(now) for each in kept]
        assert whys.count(None) == 5
        assert {"prohibited", "review-overdue", "suspended"} <= set(whys)
        assert {one.kind for one in findings(kept, store.stopped(), [], now)} == {"overdue", "blocked", "waits"}
        assert sum(bool(each.card.object) for each in kept) == 5
        assert len(store.shown()) == 11
        engine.dispose()

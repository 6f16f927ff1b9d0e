"""What another body tries with cards: to take the centre's memory and disk, to show people what is not there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ai_cards import CARD, DAY, OWNER
from databases import database_at
from qaztech.ai.register import store as storing
from qaztech.ai.register.card import Words, card_bytes, check_card
from qaztech.ai.register.store import METADATA, CardStore, Origin
from qaztech.ai.terms import begin_of
from qaztech.core.errors import Limited, Malformed
from qaztech.core.time import ManualClock
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import add_tables, open_database

BODY = Origin(by=f"{OWNER}/health", role="owner", message="0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11")


@pytest.fixture
def clock() -> ManualClock:
    """Noon of the day on which everything in the card was done."""
    return ManualClock(begin_of(DAY) + 12 * 3_600_000)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> CardStore:
    """An empty register."""
    engine = open_database(database_at(tmp_path / "hub.db"), METADATA)
    add_tables(engine, PEOPLE)
    return CardStore(engine, clock)


@pytest.mark.parametrize(
    "sign",
    [
        "\u061c", "\u00ad", "\u202e", "\u2066", "\u206a", "\u200d", "\ufeff", "\U000e0041", "\u3164", "\u2800",
        "\ue000", "\u0378", "\u2028", "\x85", "\x1b", "a\u0301\u0301\u0301\u0301\u0301",
    ],
)  # fmt: skip
def test_no_text_is_turned_around_or_hides_what_it_says(sign: str) -> None:
    """Nor reaches over the lines beside it."""
    with pytest.raises(Malformed):
        check_card(msgspec.structs.replace(CARD, purpose=Words(kk="x", ru=f"a{sign}b", en="x")))


def test_languages_of_the_country_and_their_signs_are_taken() -> None:
    """Letters with a sign put over them, quotation marks, dashes, the tenge."""
    words = Words(kk="Әңғүұқөһі — «ө» № 5 ₸\n\tй и\u0306", ru="Ёё «…» – 1 000\u00a0₸", en="it’s naïve €5")
    check_card(msgspec.structs.replace(CARD, purpose=words))


def test_a_history_that_was_made_long_can_still_be_read(store: CardStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest changes are told in full, older ones are known to have been made."""
    monkeypatch.setattr(storing, "_MOST_CHANGES", 20_000)
    kept = store.put(CARD, BODY, version=0)
    for number in range(20):
        words = Words(kk=f"{number} " + "x" * 1000, ru="x", en="x")
        kept = store.put(msgspec.structs.replace(CARD, purpose=words), BODY, version=kept.version)
    events = store.events(CARD.id)
    assert len(events) == 21
    assert events[0].changes
    assert not events[-1].changes
    assert sum(len(str(each.changes)) for each in events) < 25_000


def test_one_body_does_not_fill_the_centre(
    store: CardStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with many cards, nor by changing one again and again; the next day it may go on."""
    size = len(card_bytes(CARD))
    kept = store.put(CARD, BODY, version=0)
    monkeypatch.setattr(storing, "MOST_OF_MEMBER", 2 * size + 100)
    store.put(msgspec.structs.replace(CARD, id="second-card"), BODY, version=0)
    third = msgspec.structs.replace(CARD, id="third-card")
    with pytest.raises(Limited, match="characters"):
        store.put(third, BODY, version=0)
    monkeypatch.setattr(storing, "MOST_OF_MEMBER", 100 * size)
    monkeypatch.setattr(storing, "MOST_OF_DAY", 2 * size)
    with pytest.raises(Limited, match="in a day"):
        store.put(third, BODY, version=0)
    clock.advance(86_400_001)
    store.put(third, BODY, version=0)
    store.put(msgspec.structs.replace(CARD, purpose=Words(kk="y", ru="y", en="y")), BODY, version=kept.version)

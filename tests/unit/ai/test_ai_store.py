"""Where cards are kept: nothing is overwritten unseen, every act is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from ai_cards import CARD, DAY, OTHER, OWNER
from databases import database_at
from qaztech.ai.register.card import Card
from qaztech.ai.register.store import METADATA, CardStore, Origin
from qaztech.ai.terms import begin_of
from qaztech.core.errors import Conflict, Error, Forbidden, Malformed, NotFound
from qaztech.core.time import ManualClock
from qaztech.people.actors import Act, Actor
from qaztech.people.tables import PEOPLE, pending_act
from qaztech.runtime.database import add_tables, open_database

BODY = Origin(by=f"{OWNER}/health", role="owner", message="0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11")
ANALYST = Origin(by="aigul", role="reviewer", actor=Actor(name="aigul", role="analyst"))
NOON = begin_of(DAY) + 12 * 3_600_000


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database for cards and acts."""
    engine = open_database(database_at(tmp_path / "hub.db"), METADATA)
    add_tables(engine, PEOPLE)
    return engine


@pytest.fixture
def clock() -> ManualClock:
    """Noon of the day on which everything in the card was done."""
    return ManualClock(NOON)


@pytest.fixture
def store(engine: Engine, clock: ManualClock) -> CardStore:
    """An empty register."""
    return CardStore(engine, clock)


def with_(**values: Any) -> Card:
    """The card with other values."""
    return msgspec.structs.replace(CARD, **values)


def served(store: CardStore) -> int:
    """The card in service; its version."""
    store.put(CARD, BODY, version=0)
    store.act(CARD.id, "declare", BODY, reason="", version=1, owner=OWNER)
    store.act(CARD.id, "approve", ANALYST, reason="", version=2)
    return store.act(CARD.id, "serve", BODY, reason="", version=3, owner=OWNER).version


def test_a_card_comes_into_service_and_is_called(store: CardStore, clock: ManualClock) -> None:
    """Each step is kept with who, when, from where to where, and by which exchange."""
    assert served(store) == 4
    kept = store.card(CARD.id)
    standing = kept.standing(clock.now())
    assert (kept.card, kept.state, standing.callable, standing.why) == (CARD, "in-service", True, None)
    assert standing.until == begin_of(DAY.replace(year=2027, day=3))
    told = [(event.act, event.before, event.after, event.role, event.version) for event in store.events(CARD.id)]
    assert told == [
        ("serve", "reviewed", "in-service", "owner", 4), ("approve", "declared", "reviewed", "reviewer", 3),
        ("declare", "draft", "declared", "owner", 2), ("draft", "", "draft", "owner", 1),
    ]  # fmt: skip
    assert store.events(CARD.id)[0].message == BODY.message
    assert store.events(CARD.id)[-1].changes["risk"] == [None, "high"]
    clock.advance(366 * 86_400_000)
    assert kept.why(clock.now()) == "review-overdue"
    assert kept.standing(clock.now()).until is None


def test_a_change_that_saw_something_else_is_refused(store: CardStore) -> None:
    """Whoever comes second looks again; nothing of theirs is kept."""
    store.put(CARD, BODY, version=0)
    store.put(with_(autonomy="medium"), BODY, version=1)
    for attempt in (
        lambda: store.put(with_(autonomy="low"), BODY, version=1),
        lambda: store.put(CARD, BODY, version=0),
        lambda: store.act(CARD.id, "declare", BODY, reason="", version=1, owner=OWNER),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "ai.card.changed"
    assert store.card(CARD.id).card.autonomy == "medium"
    assert store.put(with_(autonomy="medium"), BODY, version=2).version == 2, "the same again changes nothing"
    assert len(store.events(CARD.id)) == 2


def test_nobody_touches_anothers_card(store: CardStore) -> None:
    """Neither by writing one of the same id nor by an act; an act is told that there is none."""
    store.put(CARD, BODY, version=0)
    with pytest.raises(Conflict):
        store.put(with_(owner=OTHER), BODY, version=0)
    with pytest.raises(Conflict):
        store.put(with_(owner=OTHER), BODY, version=1)
    with pytest.raises(NotFound):
        store.act(CARD.id, "retire", BODY, reason="x", version=1, owner=OTHER)
    with pytest.raises(NotFound):
        store.put(with_(id="other-card"), BODY, version=3)
    assert store.cards(owner=OTHER) == []
    assert [kept.state for kept in store.cards(owner=OWNER)] == ["draft"]


def test_people_read_what_was_reviewed(store: CardStore) -> None:
    """Not a draft, not what is revised; what is kept up since is shown."""
    store.put(CARD, BODY, version=0)
    assert store.shown() == []
    store.act(CARD.id, "declare", BODY, reason="", version=1, owner=OWNER)
    store.act(CARD.id, "approve", ANALYST, reason="", version=2)
    store.put(with_(evaluation=CARD.evaluation[:2]), BODY, version=3)
    assert len(store.shown()[0].card.evaluation) == 2
    store.act(CARD.id, "revise", BODY, reason="another model", version=4, owner=OWNER)
    store.put(with_(autonomy="medium"), BODY, version=5)
    shown = store.shown()[0]
    assert (shown.state, shown.card.autonomy) == ("draft", "low")


def test_acts_of_people_reach_the_admin_log(store: CardStore, engine: Engine) -> None:
    """Those of the centre in the same transaction; those of owners are exchanges, which two logs hold."""
    version = served(store)
    store.act(CARD.id, "suspend", ANALYST, reason="calls were lost", version=version)
    with engine.begin() as db:
        acts = [Act.parse(row.leaf.encode()) for row in db.execute(select(pending_act).order_by(pending_act.c.number))]
    assert [act.act for act in acts] == ["ai-card.approve", "ai-card.suspend"]
    assert acts[1].after == {"state": "suspended", "reason": "calls were lost"}
    with pytest.raises(Forbidden):
        store.act(CARD.id, "resume", BODY, reason="", version=version + 1, owner=OWNER)
    assert store.stopped() == {CARD.id: NOON}


@pytest.mark.parametrize("card", [with_(risk_review=DAY.replace(day=3)), with_(owner="KZ"), with_(id="")])
def test_what_cannot_be_is_not_kept(store: CardStore, card: Card) -> None:
    """A day to come, an owner that is none."""
    with pytest.raises(Error) as caught:
        store.put(card, BODY, version=0)
    assert isinstance(caught.value, Malformed)
    assert store.cards() == []

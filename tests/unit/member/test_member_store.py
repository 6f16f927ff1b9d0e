"""Requests as they are kept: every step is added, two who decide at once do not both decide, and acts are noted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from databases import database_at
from qaztech.core.errors import Conflict, Error, Limited, NotFound
from qaztech.core.ids import MemberId, SubsystemId
from qaztech.core.time import ManualClock
from qaztech.member import store as kept
from qaztech.member.access import AccessRequest, Granted, Purpose
from qaztech.member.store import ACCESS, AccessStore
from qaztech.people.actors import Act, Actor
from qaztech.people.tables import PEOPLE, pending_act
from qaztech.runtime.database import open_database

OWNER = Actor(name="aigul", role="service-owner")
MEMBER = MemberId.parse("KZ/QUASI/991340000027")
CLIENT = SubsystemId.parse("KZ/EDU/991340000037/research")
REQUEST = AccessRequest(
    type="qaztech-access-request 1", service=f"{MEMBER}/codes/codes", client=str(CLIENT),
    endpoints=("GET /countries/*",), purpose=Purpose(kk="Зерттеу", ru=None, en=None), basis="№ 12 бұйрық",
    calls_a_day=2000, calls_a_minute=60, until=None, contact="desk@university.example", requested_by="administrator",
)  # fmt: skip
GRANTED = Granted(endpoints=REQUEST.endpoints, until=None, calls_a_minute=5, calls_a_day=None)


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def engine(tmp_path):
    """An empty database with the tables."""
    engine = open_database(database_at(tmp_path / "member.db"), ACCESS)
    PEOPLE.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine, clock):
    """The requests of one member."""
    return AccessStore(engine, MEMBER, clock)


def receive(store, message="m1", **changes):
    """A request that came by that message."""
    return store.receive(replace(REQUEST, **changes), message=message, lineage="a" * 64)


def acts(engine):
    """What was noted for the admin log."""
    with engine.begin() as db:
        return [Act.parse(row.leaf.encode()) for row in db.execute(select(pending_act)).all()]


def test_every_step_is_kept_with_who_and_when(store, clock, engine):
    """And its maker sees the role, not the name."""
    one = receive(store)
    clock.advance(1000)
    given = store.decide(one.id, version=1, state="approved", by=OWNER, granted=GRANTED)
    clock.advance(1000)
    less = store.decide(one.id, version=2, state="approved", by=OWNER, granted=replace(GRANTED, calls_a_minute=1))
    ended = store.decide(one.id, version=3, state="revoked", by=OWNER, reason="enough")
    assert (given.granted, less.granted.calls_a_minute, ended.granted) == (GRANTED, 1, None)
    told = [(step.who, step.change.state, step.change.time - one.time) for step in store.get(one.id).steps]
    assert told == [
        (str(CLIENT), "submitted", 0), ("aigul", "approved", 1000), ("aigul", "approved", 2000),
        ("aigul", "revoked", 2000),
    ]  # fmt: skip
    standing = ended.standing()
    assert [change.role for change in standing.changes] == ["client", *["service-owner"] * 3]
    assert "aigul" not in repr(standing)
    assert [(act.who, act.act) for act in acts(engine)] == [
        ("aigul", "access.approved"), ("aigul", "access.approved"), ("aigul", "access.revoked")
    ]  # fmt: skip
    assert acts(engine)[0].before == {"state": "submitted", "version": 1}
    assert "enough" not in repr(acts(engine))


def test_the_same_message_is_the_same_request(store):
    """Whoever brings it twice."""
    assert receive(store).id == receive(store).id
    assert len(store.received()) == 1


def test_a_new_request_takes_the_place_of_one_that_waits(store):
    """Of the same client for the same service; a decided one stays."""
    first, other = receive(store), receive(store, "m2", service=f"{MEMBER}/codes/other")
    second = receive(store, "m3")
    assert [store.get(x.id).state for x in (first, other, second)] == ["superseded", "submitted", "submitted"]
    store.decide(second.id, version=1, state="approved", by=OWNER, granted=GRANTED)
    third = receive(store, "m4")
    assert [store.get(x.id).state for x in (second, third)] == ["approved", "submitted"]
    with pytest.raises(Conflict, match="superseded"):
        store.decide(first.id, version=2, state="approved", by=OWNER, granted=GRANTED)


def test_two_at_once_do_not_both_decide(store, engine):
    """Eight try; one does, seven hear of it, and one act is noted."""
    one = receive(store)

    def decide(number: int) -> str:
        try:
            by = Actor(name=f"person{number}", role="administrator")
            store.decide(one.id, version=1, state="refused" if number % 2 else "approved", by=by, granted=None)
        except Error as exc:
            return exc.code
        return "decided"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(decide, range(8)))
    assert outcomes == ["access.changed"] * 7 + ["decided"]
    assert (len(acts(engine)), len(store.get(one.id).steps)) == (1, 2)


def test_what_fails_changes_nothing(store, engine):
    """A step against the state leaves neither a step nor an act."""
    one = receive(store)
    for state in ("revoked", "submitted"):
        with pytest.raises(Conflict):
            store.decide(one.id, version=1, state=state, by=OWNER)
    with pytest.raises(Exception, match="act"):
        store.decide(one.id, version=1, state="refused", by=Actor(name="", role="x"))
    assert store.get(one.id) == one
    assert acts(engine) == []


def test_only_its_maker_sees_and_withdraws_a_request(store):
    """To others, and to another member's store, it is not there."""
    one = receive(store)
    stranger = SubsystemId.parse("KZ/EDU/991340000037/other")
    for refused in (lambda: store.get(one.id, client=stranger), lambda: store.withdraw(one.id, stranger)):
        with pytest.raises(NotFound):
            refused()
    assert store.withdraw(one.id, CLIENT).state == "withdrawn"
    assert store.withdraw(one.id, CLIENT).version == 2


def test_members_that_share_a_database_do_not_meet(store, engine, clock):
    """Each store speaks for one."""
    one = receive(store)
    other = AccessStore(engine, MemberId.parse("KZ/GOV/991340000017"), clock)
    mine = other.make(REQUEST, OWNER)
    assert (other.received(), store.made()) == ([], [])
    for refused in (
        lambda: other.get(one.id),
        lambda: other.decide(one.id, version=1, state="refused", by=OWNER),
        lambda: store.get_made(mine.id),
    ):
        with pytest.raises(NotFound):
            refused()
    with pytest.raises(Conflict):
        store.heard(mine, state="approved")


def test_one_client_does_not_fill_the_database(store, clock, monkeypatch):
    """So many a day; another client, and tomorrow, are another matter."""
    monkeypatch.setattr(kept, "A_DAY", 3)
    for number in range(3):
        receive(store, f"m{number}")
    with pytest.raises(Limited) as told:
        receive(store, "m3")
    assert told.value.retry_after
    receive(store, "m4", client="KZ/EDU/991340000037/other")
    clock.advance(kept.DAY)
    receive(store, "m5")


def test_what_waits_to_be_carried_out_is_found(store):
    """Until it is said to be done, at the version that was looked at."""
    one = receive(store)
    assert store.unpublished() == []
    given = store.decide(one.id, version=1, state="approved", by=OWNER, granted=GRANTED)
    assert (store.unpublished(), store.approved()) == ([given], [given])
    revoked = store.decide(one.id, version=2, state="revoked", by=OWNER, reason="enough")
    store.published([given])
    assert store.unpublished() == [revoked]
    store.published([revoked])
    assert (store.unpublished(), store.approved()) == ([], [])


def test_a_made_request_changes_its_version_with_its_state_only(store):
    """So that asking how it stands does not disturb who decides about it."""
    made = store.make(REQUEST, OWNER)
    sent = store.heard(made, state="submitted", theirs="b" * 32, message="m1")
    asked = store.heard(sent, trouble="server.clientproxy.network_error")
    assert (sent.version, asked.version, asked.trouble) == (2, 2, "server.clientproxy.network_error")
    with pytest.raises(Conflict):
        store.heard(made, state="unsent")


def test_lists_are_newest_first_and_in_pages(store, clock, engine, monkeypatch):
    """By time; a page has so many."""
    monkeypatch.setattr(kept, "PAGE", 2)
    for number in range(3):
        receive(store, f"m{number}", service=f"{MEMBER}/codes/s{number}")
        clock.advance(10)
    page = store.received(state="submitted")
    assert [one.message for one in page] == ["m2", "m1"]
    assert [one.message for one in store.received(before=page[-1].time)] == ["m0"]
    with engine.begin() as db:
        assert db.execute(select(func.count()).select_from(pending_act)).scalar_one() == 0

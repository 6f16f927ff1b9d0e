"""Decisions carried out at a real desk, and requests sent through a node that answers this way and that."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from databases import database_at
from qaztech.core.errors import Conflict, Malformed, NotFound, Unavailable
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import ManualClock
from qaztech.member.access import AccessRequest, Granted, Purpose, end_of_day
from qaztech.member.exchanges import CarriedCall, EdgeAnswer
from qaztech.member.granting import Granting
from qaztech.member.requests import AccessRequests
from qaztech.member.store import ACCESS, AccessStore
from qaztech.people.actors import Actor
from qaztech.people.tables import PEOPLE
from qaztech.registry.call_limits import parse_limits
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names
from qaztech.runtime.database import open_database

OWNER = Actor(name="aigul", role="service-owner")
MEMBER = MemberId.parse("KZ/QUASI/991340000027")
SYSTEM = SubsystemId(MEMBER, "codes")
SERVICE = ServiceId(SYSTEM, "codes")
CLIENT = SubsystemId.parse("KZ/EDU/991340000037/research")
LINEAGE = "a" * 64
NAMES = Names(kk="а", ru="б", en="c")
CALL = CarriedCall(client=CLIENT, lineage=LINEAGE, message="m1", called=SYSTEM)
REQUEST = AccessRequest(
    type="qaztech-access-request 1", service=str(SERVICE), client=str(CLIENT),
    endpoints=("GET /a", "GET /b"), purpose=Purpose(kk="Зерттеу", ru=None, en=None), basis="№ 12 бұйрық",
    calls_a_day=2000, calls_a_minute=60, until="2099-12-31", contact="desk@university.example",
    requested_by="administrator",
)  # fmt: skip


@dataclass
class World:
    """One member's desk, store and file of limits; registry, node and edge are in the test's hands."""

    directory: object
    clock: ManualClock = field(default_factory=ManualClock)
    submitted: list = field(default_factory=list)
    told: int = 0
    away: bool = False
    answers: list = field(default_factory=list)
    calls: list = field(default_factory=list)

    def __post_init__(self):
        desk = Desk.create(self.directory / "desk", member=MEMBER, names=NAMES, clock=self.clock)
        desk.add_subsystem(SYSTEM, NAMES)
        desk.add_service(SERVICE, NAMES, type_="REST", disabled=None)
        self.engine = open_database(database_at(self.directory / "member.db"), ACCESS)
        PEOPLE.create_all(self.engine)
        self.limits = self.directory / "limits.json"
        granting = Granting(
            directory=self.directory / "desk",
            submit=self.submit,
            tell=self.tell,
            limits=self.limits,
            clock=self.clock,
            patience=0.1,
        )
        store = AccessStore(self.engine, MEMBER, self.clock)
        self.access = AccessRequests(store=store, granting=granting, edge=self, clock=self.clock)

    def submit(self, submission):
        if self.away:
            raise Unavailable("registry.unreachable", "away")
        self.submitted.append(submission)

    def tell(self):
        self.told += 1

    def call(self, method, provider, path, client, body=b""):
        self.calls.append((method, provider, path, client, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def desk(self):
        return Desk(self.directory / "desk", self.clock)

    def rights(self, client=CLIENT):
        """What a client has: (endpoints, until) of each right."""
        rights = self.desk().rights(SERVICE).rights
        return sorted((r.endpoints, r.until) for r in rights if r.client == str(client))

    def limit(self):
        return parse_limits(self.limits.read_bytes(), MEMBER).get((SERVICE, CLIENT))

    def receive(self, message="m1", **changes):
        call = CarriedCall(client=CLIENT, lineage=LINEAGE, message=message, called=SYSTEM)
        return self.access.receive(encode(replace(REQUEST, **changes)), call)

    def approve(self, id_, **changes):
        one = self.access.store.get(id_)
        granted = Granted(endpoints=one.request.endpoints, until=None, calls_a_minute=None, calls_a_day=None)
        return self.access.approve(id_, version=one.version, granted=replace(granted, **changes), by=OWNER)

    def revoke(self, id_):
        return self.access.revoke(id_, version=self.access.store.get(id_).version, reason="enough", by=OWNER)


@pytest.fixture
def world(tmp_path):
    """A member with a service that nobody may call yet."""
    world = World(tmp_path)
    yield world
    world.engine.dispose()


class TestReceiving:
    """What comes by exchange."""

    @pytest.mark.parametrize(("changes", "code"), [
        ({"client": "KZ/EDU/991340000037/other"}, "access.client"),
        ({"service": f"{MEMBER}/other/codes"}, "access.called"),
        ({"service": f"{SYSTEM}/nothing"}, "access.service"),
        ({"until": "2026-01-01"}, "access.malformed"),
    ])  # fmt: skip
    def test_what_is_not_for_this_desk_is_not_kept(self, world, changes, code):
        """Another client's name, another subsystem's service, no service, no time left."""
        with pytest.raises((Malformed, NotFound)) as told:
            world.receive(**changes)
        assert told.value.code == code
        assert world.access.store.received() == []

    def test_the_lineage_is_the_nodes_word(self, world):
        """And the right that follows names it."""
        world.approve(world.receive().id)
        assert [r.lineage for r in world.desk().rights(SERVICE).rights] == [LINEAGE]


class TestCarryingOut:
    """From decision to right."""

    def test_what_is_given_is_signed_brought_and_told(self, world):
        """With its last day, and its limits in the node's file."""
        decided = world.approve(world.receive().id, until="2098-01-01", calls_a_minute=5)
        assert (decided.carried.rights, decided.carried.node, decided.request.published) == (None, None, True)
        assert world.rights() == [(("GET /a", "GET /b"), end_of_day("2098-01-01"))]
        assert world.submitted[-1].envelope == (world.directory / "desk/member-file.json").read_bytes()
        assert world.limit() == (5, None, ())
        assert world.told

    def test_requests_add_up_and_are_taken_away_apart(self, world):
        """What another still gives stays; so do rights given by command, and other clients'."""
        other = SubsystemId.parse("KZ/GOV/991340000017/permits")
        world.desk().grant(SERVICE, CLIENT, LINEAGE, [Endpoint.parse("GET /mine")], None)
        world.desk().grant(SERVICE, other, "b" * 64, [Endpoint.parse("GET /a")], None)
        first = world.receive("m1").id
        world.approve(first)
        second = world.receive("m2", endpoints=("GET /b", "GET /c")).id
        world.approve(second)
        assert world.rights() == [
            (("GET /a", "GET /b"), None), (("GET /b", "GET /c"), None), (("GET /mine",), None)
        ]  # fmt: skip
        world.revoke(first)
        assert world.rights() == [(("GET /b", "GET /c"), None), (("GET /mine",), None)]
        world.revoke(second)
        assert world.rights() == [(("GET /mine",), None)]
        assert world.rights(other) == [(("GET /a",), None)]

    def test_what_is_over_is_not_signed_again(self, world):
        """A right whose last day has passed leaves the page with the next decision."""
        world.approve(world.receive("m1").id, until="2027-06-01")
        world.clock.advance(end_of_day("2027-06-01") - world.clock.now())
        world.approve(world.receive("m2", endpoints=("GET /c",)).id)
        assert world.rights() == [(("GET /c",), None)]

    def test_what_was_taken_away_otherwise_does_not_come_back(self, world):
        """Somebody revoked by command; a later decision on the same client gives what it gives, and no more."""
        world.approve(world.receive("m1").id)
        world.desk().revoke(SERVICE, CLIENT)
        later = world.receive("m2", endpoints=("GET /c",)).id
        world.approve(later)
        assert world.rights() == [(("GET /c",), None)]
        world.revoke(later)
        assert world.rights() == []

    def test_other_terms_take_the_place_of_the_first(self, world):
        """Fewer endpoints, and the version of the member file rises by one."""
        one = world.receive().id
        world.approve(one)
        version = world.desk().statement.version
        world.approve(one, endpoints=("GET /a",))
        assert world.rights() == [(("GET /a",), None)]
        assert world.desk().statement.version == version + 1

    def test_while_the_registry_is_away_the_node_closes_what_was_taken(self, world):
        """And nothing of what another request still gives; later it is carried out."""
        first, second = world.receive("m1").id, None
        world.approve(first, calls_a_day=9)
        second = world.receive("m2", endpoints=("GET /b",)).id
        world.approve(second)
        world.away = True
        decided = world.revoke(first)
        assert (decided.carried.rights, decided.request.published) == ("registry.unreachable", False)
        assert world.limit() == (None, None, ("GET /a",))
        world.away = False
        assert world.access.publish().rights is None
        assert world.limit() is None
        assert world.rights() == [(("GET /b",), None)]
        count = len(world.submitted)
        assert world.access.publish().rights is None
        assert len(world.submitted) == count, "nothing waits, nothing is sent"

    def test_a_desk_in_use_does_not_lose_a_decision(self, world):
        """Another command works there; what was decided follows."""
        one = world.receive().id
        with Desk.locked(world.directory / "desk", world.clock):
            assert world.approve(one).carried.rights == "member.desk-in-use"
        assert world.rights() == []
        world.access.publish()
        assert world.rights() == [(("GET /a", "GET /b"), None)]

    def test_a_node_that_is_away_is_told_later(self, world, monkeypatch):
        """The rights are signed all the same."""
        monkeypatch.setattr(world, "tell", None)
        one = world.receive().id

        def away():
            raise Unavailable("node.unreachable", "away")

        world.access._granting._tell = away
        decided = world.approve(one)
        assert (decided.carried.rights, decided.carried.node) == (None, "node.unreachable")
        assert world.rights()

    def test_more_than_was_asked_is_neither_decided_nor_signed(self, world):
        """And a refusal needs its reason."""
        one = world.receive().id
        with pytest.raises(Malformed):
            world.approve(one, endpoints=("GET /**",))
        with pytest.raises(Malformed):
            world.access.refuse(one, version=1, reason=" ", by=OWNER)
        assert (world.access.store.get(one).version, world.rights()) == (1, [])


class TestAsking:
    """Requests of our own; the edge is scripted."""

    MINE = replace(REQUEST, client=f"{MEMBER}/codes", service="KZ/GOV/991340000017/permits/list")

    def answer(self, world, state="submitted", status=200, **changes):
        """What a provider's desk would say of it."""
        made = {
            "type": "qaztech-access-standing 1", "id": "b" * 32, "message": "m", "service": self.MINE.service,
            "client": self.MINE.client, "state": state,
            "changes": [{"state": state, "time": 1, "role": "client", "reason": None, "granted": None}],
        }  # fmt: skip
        return EdgeAnswer(status=status, body=encode(made | changes), message="m", fault=None)

    def test_a_request_is_sent_polled_and_withdrawn(self, world):
        """Each by an exchange to the provider's subsystem."""
        world.answers = [self.answer(world, status=201), self.answer(world), self.answer(world, "withdrawn")]
        made = world.access.ask(self.MINE, OWNER)
        assert (made.state, made.theirs, made.message, made.version) == ("submitted", "b" * 32, "m", 2)
        assert world.access.poll_all() == 1
        ended = world.access.withdraw(made.id, version=2, by=OWNER)
        assert ended.state == "withdrawn"
        assert [(c[0], str(c[1]), c[2]) for c in world.calls] == [
            ("POST", "KZ/GOV/991340000017/permits", ""),
            ("GET", "KZ/GOV/991340000017/permits", f"/{'b' * 32}"),
            ("POST", "KZ/GOV/991340000017/permits", f"/{'b' * 32}/withdrawal"),
        ]
        assert world.access.poll_all() == 0

    @pytest.mark.parametrize(("answer", "trouble"), [
        (EdgeAnswer(status=500, body=b"", message="m", fault="server.x.not_found"), "server.x.not_found"),
        (EdgeAnswer(status=404, body=b'{"code":"access.no-desk"}', message="m", fault=None), "access.no-desk"),
        (EdgeAnswer(status=404, body=b"<html>", message="m", fault=None), "access.malformed"),
        (EdgeAnswer(status=201, body=b"{}", message="m", fault=None), "access.malformed"),
        (Unavailable("access.no-edge", "the own node does not answer"), "access.no-edge"),
    ])  # fmt: skip
    def test_what_does_not_arrive_may_be_sent_again(self, world, answer, trouble):
        """The trouble is told, and the repetition is the same request."""
        world.answers = [answer, self.answer(world, status=201)]
        made = world.access.ask(self.MINE, OWNER)
        assert (made.state, made.trouble) == ("unsent", trouble)
        again = world.access.send_again(made.id, version=made.version, by=OWNER)
        assert (again.id, again.state, again.trouble) == (made.id, "submitted", None)
        with pytest.raises(Conflict):
            world.access.send_again(made.id, version=again.version, by=OWNER)

    def test_an_answer_about_another_request_changes_nothing(self, world):
        """A provider cannot make us show one request for another."""
        world.answers = [
            self.answer(world, status=201), self.answer(world, "approved", id="c" * 32),
            self.answer(world, "approved", client="KZ/GOV/991340000017/x"),
        ]  # fmt: skip
        made = world.access.ask(self.MINE, OWNER)
        for _ in range(2):
            assert world.access.poll(made.id).state == "submitted"
        assert world.access.store.get_made(made.id).trouble == "access.malformed"

    def test_what_was_decided_meanwhile_is_not_withdrawn(self, world):
        """The decision is shown instead."""
        decided = EdgeAnswer(status=409, body=b'{"code":"access.state"}', message="m", fault=None)
        world.answers = [self.answer(world, status=201), decided, self.answer(world, "approved")]
        made = world.access.ask(self.MINE, OWNER)
        with pytest.raises(Conflict, match="approved"):
            world.access.withdraw(made.id, version=made.version, by=OWNER)
        assert world.access.store.get_made(made.id).state == "approved"

    def test_a_member_asks_for_its_own_subsystems(self, world):
        """Nothing is kept or sent otherwise."""
        with pytest.raises(Malformed):
            world.access.ask(REQUEST, OWNER)
        assert (world.access.store.made(), world.calls) == ([], [])

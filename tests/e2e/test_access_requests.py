"""A request for access from one member to another: it travels as an exchange, and what is decided holds at once."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import select

from qaztech.compose.access import build_access, secret_hash
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.time import SystemClock
from qaztech.member.access import AccessRequest, Granted, Purpose
from qaztech.member.exchanges import EdgeCaller, desk_exchange_app
from qaztech.member.node_client import NodeClient
from qaztech.member.store import ACCESS
from qaztech.people.actors import Act, Actor
from qaztech.people.tables import PEOPLE, pending_act
from qaztech.registry.verification import verify_receipt
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.runtime.shell import serve
from qaztech.testing import processes
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import Instance, request

ROOT = Path(__file__).parents[2]
OWNER = Actor(name="aigul", role="service-owner")
RESEARCHER = Actor(name="dauren", role="administrator")
RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "node-university",
)  # fmt: skip


class Country(Instance):
    """The country, with a desk for each of two members."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, only=RUNNING)
        self.secret = secrets.token_urlsafe(32)
        self.found()
        self._stop: asyncio.Event
        self.engine = open_database(sqlite_url(home / "desks.db"), ACCESS)
        PEOPLE.create_all(self.engine)
        self.desks = {name: self._access(name) for name in ("registers", "university")}
        self.desk_port = free_ports(1)[0]
        toml = home / "nodes/registers/node.toml"
        told = f'desk = "http://127.0.0.1:{self.desk_port}/exchanges/{self.secret}"\nlimits = "limits.json"\n'
        text = re.sub(r"(?m)^(desk|limits) = .*\n", "", toml.read_text())  # those of a console, where there is one
        toml.write_text(text.replace("\n[[clients]]", f"{told}\n[[clients]]", 1))

    def _access(self, name: str):
        node = self.node(name)
        return build_access(
            self.engine, self.home / "members" / name, registry=self.country["registry"],
            edge=EdgeCaller(node["edge"]), tell=NodeClient(node["management"]).reload,
            limits=self.home / "nodes" / name / "limits.json", clock=SystemClock(),
        )  # fmt: skip

    def acts(self) -> list[Act]:
        """The acts noted so far, for the admin log."""
        with self.engine.begin() as db:
            return [Act.parse(row.leaf.encode()) for row in db.execute(select(pending_act)).all()]

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        app = desk_exchange_app({secret_hash(self.secret): self.desks["registers"]})
        serving = serve(app, host="127.0.0.1", port=self.desk_port, stop=self._stop)
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(serving,), daemon=True)
        self._thread.start()
        return super().__enter__()

    def stop(self) -> None:
        """End the processes, and the desk."""
        super().stop()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)
        self._loop.close()

    def wanted(self, *endpoints: str, **changes: object) -> AccessRequest:
        """A request of the university for the codes."""
        made = {
            "type": "qaztech-access-request 1", "service": self.service, "client": self.node("university")["system"],
            "endpoints": endpoints or ("GET /countries/*",),
            "purpose": Purpose(kk="Зерттеуде ел кодтарын салыстыру", ru=None, en=None),
            "basis": "№ 12 бұйрық, 2027 ж.", "calls_a_day": 500, "calls_a_minute": 20, "until": "2099-12-31",
            "contact": "desk@university.example", "requested_by": "administrator",
        }  # fmt: skip
        return AccessRequest(**(made | changes))

    def status(self, path: str = "/countries/KZ.json?_shape=object") -> int:
        """What the university gets when it calls the codes."""
        return self.call(path, node="university").status

    def are_acquainted(self) -> bool:
        """Whether the university's node knows the registers by now."""
        return "unknown_member" not in self.call(node="university").headers.get("x-road-error", "")


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """One country for all of these tests."""
    with Country(tmp_path_factory.mktemp("access") / "home") as country:
        # A node that has just started does not know everyone at once, and on a busy machine that takes a while.
        country.until(country.are_acquainted, 30)
        yield country


@pytest.fixture
def owner(country):
    """The desk of the member that provides the codes."""
    return country.desks["registers"]


@pytest.fixture
def consumer(country):
    """The desk of the university."""
    return country.desks["university"]


def give(request_: AccessRequest, **changes: object) -> Granted:
    """All that was asked for."""
    all_ = {"endpoints": request_.endpoints, "until": request_.until, "calls_a_minute": None, "calls_a_day": None}
    return Granted(**(all_ | changes))


def test_access_is_asked_given_used_and_taken_away(country, owner, consumer, tmp_path):
    """The whole way: two nodes have it on record, and what the owner decides holds within seconds."""
    assert country.status() == 500
    made = consumer.ask(country.wanted(), RESEARCHER)
    assert (made.state, made.trouble) == ("submitted", None)

    received = owner.store.get(made.theirs)
    assert (received.request, received.message) == (made.request, made.message)
    assert received.lineage == country.desk("university").lineage
    for node in ("university", "registers"):
        receipt = tmp_path / f"{node}.json"
        receipt.write_text(json.dumps(country.receipt(made.message, node=node)))
        assert verify_receipt(receipt.read_bytes(), country.anchor.read_bytes()).ok
        command = [
            sys.executable,
            ROOT / "docs/verify.py",
            receipt,
            "--anchor",
            country.anchor,
            "--require",
            "witnessed",
        ]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    decided = owner.approve(received.id, version=received.version, granted=give(received.request), by=OWNER)
    assert (decided.carried.rights, decided.carried.node, decided.request.published) == (None, None, True)
    began = time.monotonic()
    country.until(lambda: country.status() == 200, 20.0)
    assert time.monotonic() - began < 10.0
    assert country.status("/countries.json") == 200  # what it had before, it has
    assert consumer.poll(made.id).state == "approved"

    version = owner.store.get(received.id).version
    decided = owner.revoke(received.id, version=version, reason="Зерттеу аяқталды", by=OWNER)
    assert (decided.carried.rights, decided.carried.node) == (None, None)
    assert country.status() == 500
    assert country.status("/countries.json") == 200
    polled = consumer.poll(made.id)
    assert (polled.state, polled.standing.changes[-1].reason) == ("revoked", "Зерттеу аяқталды")
    assert OWNER.name not in str(polled.standing)
    acts = [(act.who, act.act) for act in country.acts()]
    assert acts[-3:] == [("dauren", "access.ask"), ("aigul", "access.approved"), ("aigul", "access.revoked")]


def test_the_provider_refuses_at_once_though_the_caller_does_not_know_yet(country, owner, consumer):
    """The refusal is on record at both nodes: the provider's node decides for itself."""
    made = consumer.ask(country.wanted("GET /languages/*"), RESEARCHER)
    given = owner.approve(made.theirs, version=1, granted=give(made.request), by=OWNER).request
    country.until(lambda: country.status("/languages/kaz.json") in {200, 404}, 20.0)
    owner.revoke(given.id, version=given.version, reason="No longer", by=OWNER)
    answer = country.call("/languages/kaz.json", node="university")
    assert answer.headers["x-road-error"] == "server.serverproxy.access_denied"


def test_a_third_member_neither_sees_nor_touches_a_request(country, owner, consumer):
    """To the ministry it is as if the request were not there."""
    made = consumer.ask(country.wanted("GET /countries.json"), RESEARCHER)
    subsystem = country.service.rpartition("/")[0]
    stranger = {"service": f"{subsystem}/accessRequests", "node": "ministry"}
    for path, method in ((f"/{made.theirs}", "GET"), (f"/{made.theirs}/withdrawal", "POST")):
        answer = country.call(path, method=method, **stranger)
        assert (answer.status, json.loads(answer.body)["code"]) == (404, "access.unknown")
    forged = json.dumps({"client": made.request.client}).encode()
    assert country.call("", method="POST", body=forged, **stranger).status == 400
    assert owner.store.get(made.theirs).state == "submitted"
    withdrawn = consumer.withdraw(made.id, version=made.version, by=RESEARCHER)
    assert (withdrawn.state, owner.store.get(made.theirs).state) == ("withdrawn", "withdrawn")
    with pytest.raises(Conflict, match="withdrawn"):
        owner.approve(made.theirs, version=2, granted=give(made.request), by=OWNER)


def test_nobody_asks_in_the_name_of_another(country, owner):
    """The client is whoever the nodes say called."""
    wanted = country.wanted()
    target = f"/r1/{country.service.rpartition('/')[0]}/accessRequests"
    body = json.dumps({"type": wanted.type}).encode()
    ministry = country.node("ministry")
    before = len(owner.store.received())
    for form, code in (
        (encode(wanted), "access.client"),
        (encode(replace(wanted, client=ministry["system"], service=f"{wanted.service}x")), "access.service"),
        (body, "access.malformed"),
    ):  # fmt: skip
        answer = request(ministry["edge"], "POST", target, body=form, headers={"X-Road-Client": ministry["system"]})
        assert json.loads(answer.body)["code"] == code
    assert len(owner.store.received()) == before


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "", 404, "access.unknown"),
        ("GET", "/../../manage", 404, "access.unknown"),
        ("GET", f"/{'a' * 32}?x=1", 404, "access.unknown"),
        ("GET", f"/{'a' * 32}", 404, "access.unknown"),
        ("POST", "/", 404, "access.unknown"),
    ],
)
def test_a_stranger_reaches_nothing_else_on_the_desks_server(country, method, path, status, code):
    """Only the three calls of the format page go to the desk."""
    service = f"{country.service.rpartition('/')[0]}/accessRequests"
    answer = country.call(path, node="ministry", method=method, service=service)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_a_member_without_a_desk_says_so(country):
    """And its node needs no right to say it; another method needs one that nobody has."""
    service = f"{country.node('university')['system']}/accessRequests"
    answer = country.call("", node="ministry", method="POST", body=b"{}", service=service)
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "access.no-desk")
    refused = country.call("", node="ministry", method="PUT", body=b"{}", service=service)
    assert refused.headers["x-road-error"] == "server.serverproxy.unknown_service"


def test_what_the_owner_limits_is_counted_at_the_node(country, owner, consumer):
    """The call after the last of the minute is refused on record, and told when to come again."""
    made = consumer.ask(country.wanted("GET /scripts.json"), RESEARCHER)
    owner.approve(made.theirs, version=1, granted=give(made.request, calls_a_minute=2, calls_a_day=3), by=OWNER)
    country.until(lambda: country.status("/scripts.json") != 500, 20.0)
    answers = [country.call("/scripts.json", node="university") for _ in range(4)]
    refused = [answer for answer in answers if answer.status == 500]
    assert refused
    assert refused[0].headers["x-road-error"] == "server.serverproxy.limit_exceeded"
    assert 1 <= int(refused[-1].headers["retry-after"]) <= 24 * 3600
    version = owner.store.get(made.theirs).version
    owner.approve(made.theirs, version=version, granted=give(made.request), by=OWNER)
    assert country.status("/scripts.json") != 500


def test_a_right_taken_away_is_closed_though_the_registry_is_gone(country, owner, consumer):
    """The member's own node knows at once; the rights follow when the registry is back."""
    made = consumer.ask(country.wanted("GET /currencies.json"), RESEARCHER)
    given = owner.approve(made.theirs, version=1, granted=give(made.request), by=OWNER).request
    country.until(lambda: country.status("/currencies.json") != 500, 20.0)
    country.terminate("registry")
    try:
        decided = owner.revoke(given.id, version=given.version, reason="Seen enough", by=OWNER)
        assert decided.carried.rights == "registry.unreachable"
        assert not decided.request.published
        assert country.status("/currencies.json") == 500
    finally:
        processes.start(country.home, only=("registry",))
        processes.wait(country.home, 40.0, only=("registry",))
    assert owner.publish().rights is None
    assert owner.store.get(given.id).published
    assert country.status("/currencies.json") == 500


def test_two_who_decide_at_once_do_not_both_decide(country, owner, consumer):
    """The second looked at another version."""
    made = consumer.ask(country.wanted("GET /countries.json"), RESEARCHER)
    owner.refuse(made.theirs, version=1, reason="Ask for the list only", by=OWNER)
    with pytest.raises(Conflict, match="changed"):
        owner.approve(made.theirs, version=1, granted=give(made.request), by=Actor(name="b", role="administrator"))
    with pytest.raises(NotFound):
        consumer.store.get(made.theirs)
    with pytest.raises(Malformed):
        consumer.ask(country.wanted(client=country.node("ministry")["system"]), RESEARCHER)


def test_one_client_does_not_flood_a_desk(country):
    """After so many in a minute the node refuses, on record, and says when to come again."""
    service = f"{country.service.rpartition('/')[0]}/accessRequests"
    for _ in range(70):  # a new minute may begin in between
        answer = country.call(f"/{'a' * 32}", node="ministry", service=service)
        if answer.status != 404:
            break
    assert answer.headers["x-road-error"] == "server.serverproxy.limit_exceeded"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    outcome = country.manage("ministry", f"/exchanges/{answer.message}")
    assert (outcome["outcome"], outcome["code"]) == ("refused", "limit.access-requests")

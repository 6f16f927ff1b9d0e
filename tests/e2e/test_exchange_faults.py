"""What becomes of an exchange when something else fails: the system, the peer, the link, the registry, a right."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, IncompleteRead
from urllib.parse import urlsplit

import pytest

from breakable_country import NODES, BreakableCountry, breakable_country
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.testing import processes
from qaztech.testing.free_ports import free_ports

ANSWER_TIMEOUT = 2.5
IN_SERVICE = "server.serverproxy.service_failed."
NETWORK_ERROR = "server.clientproxy.network_error"
OUTCOME_UNKNOWN = "server.clientproxy.outcome_unknown"


@pytest.fixture(scope="module")
def country(tmp_path_factory, echo):
    """A country of these tests' own, with systems that are down and slow."""
    home = tmp_path_factory.mktemp("faults") / "home"
    with breakable_country(home, echo, answer_timeout=ANSWER_TIMEOUT) as country:
        (port,) = free_ports(1)
        country.add_service("registers", "down", f"http://127.0.0.1:{port}")
        country.add_service("registers", "slow", echo.url, timeout=0.4)
        yield country


def refused_with(answer, type_: str) -> str:
    """The answer is that error, as X-Road tells it; gives the message id."""
    assert answer.headers.get("x-road-error") == type_, answer
    assert answer.status == 500
    body = json.loads(answer.body)
    assert (body["type"], body["detail"]) == (type_, answer.message)
    return answer.message


def links(country: BreakableCountry, node: str) -> int:
    """How many links a node has."""
    return len(country.manage(node, "/status")["links"])


def spoilt(country: BreakableCountry, echo, action, path: str, **options):
    """Make a call, do something once it has reached the system, give its answer."""
    with country.in_flight(echo, path, **options) as future:
        action()
        return future.result(30)


class TestSystem:
    """The provider's system fails: the node says so on record, in the system's place."""

    @pytest.mark.parametrize(
        ("service", "path", "code", "type_"),
        [
            ("down", "/x", "service.unreachable", "network_error"),
            ("slow", "/delay/2", "service.timeout", "io_error"),
            ("echo", "/close", "service.closed", "io_error"),
            ("echo", "/malformed", "service.malformed", "http_error"),
            ("echo", "/malformed/status", "service.malformed", "http_error"),
            ("echo", "/malformed/header", "service.malformed", "http_error"),
            ("echo", "/malformed/length", "service.malformed", "http_error"),
            ("echo", "/malformed/framing", "service.malformed", "http_error"),
            ("echo", "/malformed/chunk", "service.malformed", "http_error"),
        ],
    )
    def test_its_failure_is_a_recorded_refusal(self, country, service, path, code, type_):
        """Down, slow, silent or not speaking HTTP: one `refused` record, in both logs, and a receipt that verifies."""
        answer = country.call(path, service=country.echo.replace("/echo", f"/{service}"), method="POST", body=b"b")
        message = refused_with(answer, IN_SERVICE + type_)
        for node in NODES:
            request, refused = country.records(node, message)
            assert (request.kind, refused.kind, refused["code"]) == ("request", "refused", code)
        assert country.outcome(message)["code"] == code
        receipt = country.receipt(message)
        verdict = country.verdict(receipt)
        assert (verdict["ok"], verdict["state"]) == (True, "witnessed")
        assert code in verdict["exchange"]["outcome"]

    def test_an_answer_cut_in_the_middle_of_its_body_is_recorded_as_aborted(self, country):
        """What was promised and did not come is neither passed off as whole nor forgotten."""
        where = urlsplit(country.node("ministry")["edge"])
        connection = HTTPConnection(where.hostname, where.port, timeout=20)
        headers = {"X-Road-Client": country.node("ministry")["system"]}
        connection.request("GET", f"/r1/{country.echo}/close-mid-body", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises((IncompleteRead, ConnectionError)):
            answer.read()
        connection.close()
        message = answer.headers["x-road-request-id"]
        for node in NODES:
            country.until(lambda node=node: len(country.records(node, message)) == 3)
            *_, tail = country.records(node, message)
            assert (tail.kind, tail["outcome"]) == ("response-tail", "aborted")
        verdict = country.verdict(country.receipt(message))
        assert (verdict["ok"], verdict["state"]) == (True, "witnessed")


class TestPeer:
    """The provider's node is away, or goes away in the middle."""

    def test_a_node_that_is_down_is_an_error_at_once_and_comes_back_by_itself(self, country):
        """No waiting for who is not there, nothing on record for what was not sent, and no restart of ours needed."""
        country.until_called()
        country.kill("node-registers")
        # A call on a link whose end has not been seen yet would be "outcome unknown", which is another test's matter.
        country.until(lambda: not any(link["open"] for link in country.manage("ministry", "/status")["links"]))
        for _ in range(3):
            began = time.monotonic()
            refused = country.echoed("/down", method="POST", body=b"b")
            assert time.monotonic() - began < 4
            message = refused_with(refused, NETWORK_ERROR)
            assert country.kinds("ministry", message) in ([], ["request", "no-answer"])
        assert country.kinds("ministry", message) == []
        country.begin("node-registers")
        country.until_called()

    def test_a_killed_node_leaves_an_unknown_outcome_that_is_reconciled(self, country, echo):
        """The caller of a POST gets the id to ask by; who asks is told what the provider's log says, and no more."""
        answer = spoilt(
            country, echo, lambda: country.kill("node-registers"), "/delay/3?killed", method="POST", body=b"b"
        )
        message = refused_with(answer, OUTCOME_UNKNOWN)
        assert f"/exchanges/{message}" in json.loads(answer.body)["message"]
        assert country.kinds("ministry", message) == ["request", "no-answer"]
        unknown = country.outcome(message)
        assert unknown["outcome"] == "unknown"
        assert "does not answer" in unknown["peer"]
        country.begin("node-registers")
        country.until_called()
        outcome = country.outcome(message)
        assert (outcome["outcome"], outcome["peer"]) == ("accepted, no answer on record yet", "answered")
        at_edge = country.outcome_at_edge(message)
        assert at_edge.status == 200
        assert json.loads(at_edge.body)["outcome"] == outcome["outcome"]
        assert country.kinds("registers", message) == ["request"]
        assert sum(call.target == "/delay/3?killed" for call in echo.calls) == 1

    def test_a_request_that_never_arrived_is_told_from_one_that_did(self, country, echo):
        """The bytes left and nobody took them: afterwards the peer says so."""
        country.until_called()
        with ThreadPoolExecutor(1) as pool:
            with country.cable.deaf():
                call = pool.submit(country.echoed, "/never", method="POST", body=b"b")
                time.sleep(0.5)
            message = refused_with(call.result(20), OUTCOME_UNKNOWN)
        assert country.outcome(message)["outcome"] == "never reached the provider"
        assert not [call for call in echo.calls if call.target == "/never"]

    def test_an_answer_that_comes_too_late_is_found_by_reconciling(self, country, echo):
        """Over the node's patience, `no-answer` goes on record; what the provider answered later can be had."""
        path = f"/delay/{ANSWER_TIMEOUT + 1}?late"
        answer = country.echoed(path, method="POST", body=b"b")
        message = refused_with(answer, OUTCOME_UNKNOWN)
        request, no_answer = country.records("ministry", message)
        assert (request.kind, no_answer.kind, no_answer["code"]) == ("request", "no-answer", "peer.timeout")
        assert country.outcome(message)["outcome"] == "accepted, no answer on record yet"
        country.until(lambda: country.outcome(message)["outcome"] == "answered")
        outcome = country.outcome(message)
        assert outcome["status"] == 200
        assert json.loads(country.outcome_at_edge(message).body)["status"] == 200
        assert country.kinds("registers", message) == ["request", "response"]
        verdict = country.verdict(country.receipt(message, wait=""))
        assert (verdict["ok"], verdict["state"]) == (True, "one-sided")

    def test_a_lost_call_of_an_idempotent_method_is_made_once_more(self, country, echo):
        """As a new message with its own records; the first stands as unanswered."""
        country.until_called()
        answer = spoilt(country, echo, country.cable.cut, "/delay/0.7?again")
        assert answer.status == 200
        sent = [dict(call.headers) for call in echo.calls if call.target == "/delay/0.7?again"]
        ids = [{k.lower(): v for k, v in headers.items()}["x-road-request-id"] for headers in sent]
        assert len(set(ids)) == 2
        first, second = ids
        assert second == answer.message
        assert country.kinds("ministry", first) == ["request", "no-answer"]
        assert country.kinds("ministry", second) == ["request", "response"]
        attempts = [country.records("registers", message)[0]["attempt"] for message in ids]
        assert attempts == ["1", "2"]
        country.until(lambda: country.outcome(first)["outcome"] == "answered")

    def test_a_call_lost_twice_is_not_made_a_third_time(self, country, echo):
        """One repetition and no more: whatever ends links may be the call itself."""
        country.until_called()
        target = "/delay/1?twice"

        def cut_twice() -> None:
            country.cable.cut()
            country.until(lambda: sum(call.target == target for call in echo.calls) == 2)
            country.cable.cut()

        refused_with(spoilt(country, echo, cut_twice, target), NETWORK_ERROR)
        time.sleep(0.3)
        assert sum(call.target == target for call in echo.calls) == 2

    def test_a_lost_call_of_another_method_is_not_made_again(self, country, echo):
        """A POST whose link is lost is told as it is."""
        country.until_called()
        answer = spoilt(country, echo, country.cable.cut, "/delay/0.5?once", method="POST", body=b"b")
        message = refused_with(answer, OUTCOME_UNKNOWN)
        country.until(lambda: country.outcome(message)["outcome"] == "answered")
        assert sum(call.target == "/delay/0.5?once" for call in echo.calls) == 1


class TestReceipts:
    """Receipts while one side is silent."""

    def test_the_side_that_is_missing_is_named(self, country, echo, tmp_path):
        """`--wait` says who owes the proof; without it the receipt is made, and says of itself that it is one-sided."""
        country.until_called()
        answer = spoilt(
            country, echo, lambda: country.kill("node-registers"), "/delay/3?receipt", method="POST", body=b"b"
        )
        message = refused_with(answer, OUTCOME_UNKNOWN)
        try:
            asked = ("receipt", message, "--node", "ministry", "--home", str(country.home))
            waited = country.command(*asked, "--wait", "witnessed", "--seconds", "3")
            assert waited.returncode == 1
            assert "peer's log" in waited.stderr
            assert str(country.manage("ministry", "/status")["node"]) not in waited.stderr
            member = country.node("registers")["member"]
            assert f"{member}" in waited.stderr
            assert waited.stdout == ""
            made = country.command(*asked)
            assert made.returncode == 0
            assert json.loads(made.stdout)["state"] == "one-sided"
            file = tmp_path / "r.json"
            file.write_text(made.stdout)
            anchor = ("--anchor", str(country.anchor))
            verified = country.command("verify", str(file), *anchor)
            assert "one-sided" in verified.stdout
            assert verified.returncode == 0
            assert country.command("verify", str(file), *anchor, "--require", "witnessed").returncode == 1
        finally:
            country.begin("node-registers")
        country.until_called()


class TestRegistry:
    """The registry is not needed for calls; what it says of members and rights is followed."""

    def test_calls_go_on_without_the_registry_and_nodes_start_from_what_they_have(self, country):
        """The registry may be away for as long as its word holds."""
        country.kill("registry")
        try:
            assert country.echoed("/without").status == 200
            country.restart("node-ministry", "node-registers")
            country.until_called()
        finally:
            country.begin("registry")

    def test_a_suspended_member_is_cut_off_and_comes_back(self, country):
        """Its open link ends at the next configuration, without any call; then nobody speaks with it."""
        country.until_called()
        assert links(country, "registers") >= 1
        country.suspend("ministry", suspended=True)
        try:
            country.until(lambda: links(country, "registers") == 0, 10)
            country.until(lambda: links(country, "ministry") == 0, 10)
            unknown = "server.clientproxy.unknown_member"
            # Its own node hears of it a moment later, at its own next refresh.
            country.until(lambda: country.echoed("/suspended").headers["x-road-error"] == unknown)
            refused = country.echoed("/suspended")
            assert refused.status == 500
            assert country.kinds("registers", refused.message) == []
        finally:
            country.suspend("ministry", suspended=False)
        country.until_called()

    def test_a_suspended_provider_is_called_no_more(self, country):
        """The same from the other side."""
        country.until_called()
        country.suspend("registers", suspended=True)
        try:
            country.until(lambda: links(country, "ministry") == 0, 10)
            refused = country.echoed("/suspended")
            assert refused.headers["x-road-error"] == "server.clientproxy.unknown_member"
        finally:
            country.suspend("registers", suspended=False)
        country.until_called()

    def test_a_right_ends_and_begins_with_the_next_configuration(self, country):
        """Revoked, a call is refused; granted again, it goes through: within seconds, nobody is told to reload."""
        country.until_called()
        desk, lineage = country.desk("registers"), country.desk("ministry").lineage
        service, client = ServiceId.parse(country.echo), SubsystemId.parse(country.node("ministry")["system"])
        desk.revoke(service, client)
        country.submit(desk)
        country.until(lambda: country.echoed("/right").status != 200, 10)
        refused = country.echoed("/right")
        assert refused.headers["x-road-error"] == "server.serverproxy.access_denied"
        desk.grant(service, client, lineage, [Endpoint.parse("* /**")], None)
        country.submit(desk)
        country.until(lambda: country.echoed("/right").status == 200, 60)


class TestInGoodOrder:
    """Draining and reloading lose nothing."""

    @pytest.mark.parametrize("name", ["node-registers", "node-ministry"])
    def test_a_node_that_is_told_to_end_answers_what_it_has_begun(self, country, echo, name):
        """SIGTERM: the call in progress is answered, new callers are turned away, then the process ends."""
        country.until_called()
        path = f"/delay/1.5?{name}"
        with country.in_flight(echo, path, method="POST", body=b"b") as future:
            os.kill(processes.pid_of(country.home, name), signal.SIGTERM)
            ports = country.country["ports"]
            port = ports["edges"]["ministry"] if name == "node-ministry" else own_link_port(country)
            country.until(lambda: not connects(port), 1.0)
            with_error = turned_away(country)
            assert not future.done()
            answer = future.result(20)
        assert with_error
        assert answer.status == 200
        country.until(lambda: processes.pid_of(country.home, name) is None, 30)
        assert country.checked(name.removeprefix("node-")).ok
        country.begin(name)
        country.until_called()
        assert country.kinds("ministry", answer.message) == ["request", "response"]
        assert country.verdict(country.receipt(answer.message))["state"] == "witnessed"

    def test_reloading_under_load_drops_nothing(self, country):
        """Both nodes read settings and configuration again and again while calls go through them."""
        country.until_called()
        over = threading.Event()

        statuses: list[int] = []

        def call() -> None:
            while not over.is_set():
                statuses.append(country.echoed("/delay/0.02?reload", method="POST", body=b"b").status)

        with ThreadPoolExecutor(3) as pool:
            callers = [pool.submit(call) for _ in range(3)]
            reloads = 0
            while len(statuses) < 40 or reloads < 8:
                for node in NODES:
                    country.manage(node, "/reload", "POST")
                reloads += 1
            over.set()
            for caller in callers:
                caller.result(30)
        assert set(statuses) == {200}


def own_link_port(country: BreakableCountry) -> int:
    """Where the provider's node itself takes links, behind the cable."""
    settings = tomllib.loads(country.settings("registers").read_text())
    return int(settings["link"]["port"])


def connects(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def turned_away(country: BreakableCountry) -> bool:
    """Whether a new call is refused, or its connection is."""
    try:
        return country.echoed("/new", method="POST", body=b"b").status >= 400
    except (OSError, HTTPException):
        return True

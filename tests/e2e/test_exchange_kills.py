"""Nodes are killed at random moments under load: what a caller was answered is in both logs, whole and bound."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Self
from urllib.parse import urlsplit

import pytest

from breakable_country import NODES, RUNNING, BreakableCountry, breakable_country
from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit
from qaztech.core.record import Record, parse_record
from qaztech.evidence.merkle import leaf_hash
from qaztech.node.journal import Kept, open_kept
from qaztech.testing import keeper, processes

CALLERS = 4
RECEIPTS = 3
UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class Told:
    """What one caller sent, and what it was told; `status` 0: nothing at all."""

    target: str
    method: str
    sent: bytes
    status: int
    message: str
    got: bytes


class Load:
    """Callers that call and call, each on a connection of its own, and remember everything."""

    def __init__(self, country: BreakableCountry, seed: int, pause: float) -> None:
        self.told: list[Told] = []
        self._country = country
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._calls, args=(Random(seed + i), i)) for i in range(CALLERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def answered(self) -> list[Told]:
        """Those that were answered."""
        return [told for told in list(self.told) if told.status == 200]

    def _calls(self, random: Random, caller: int) -> None:
        where = self._country.node("ministry")
        parts = urlsplit(where["edge"])
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        number = 0
        while not self._over.is_set():
            number += 1
            method = random.choice(("POST", "POST", "POST", "GET"))
            body = random.randbytes(random.choice((1, 100, 20_000))) if method == "POST" else b""
            target = f"/killed/{caller}/{number}?of={len(body)}"
            headers = {"X-Road-Client": where["system"]}
            status, message, got = 0, "", b""
            try:
                connection.request(method, f"/r1/{self._country.echo}{target}", body or None, headers)
                answer = connection.getresponse()
                got = answer.read()
                status, message = answer.status, answer.headers.get("x-road-request-id", "")
            except (OSError, HTTPException):
                connection.close()
            self.told.append(Told(target, method, body, status, message, got))
            time.sleep(self._pause if status == 200 else 0.02)
        connection.close()


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry of a node's log."""

    index: int
    record: Record
    kept: Kept

    @property
    def bound(self) -> tuple[bytes, int]:
        """How an answer names this record, where it stands at this index."""
        return leaf_hash(self.record.data), self.index


def everything(country: BreakableCountry, node: str) -> dict[str, list[Logged]]:
    """All entries of a log, by message; every leaf is checked as it is read, every record parses."""
    found: dict[str, list[Logged]] = defaultdict(list)
    with country.log(node) as log:
        for index in range(log.size):
            stored = log.read(index)
            record = parse_record(stored.data)
            found[record["message"]].append(Logged(index, record, open_kept(stored.private)))
    return found


def of_kind(entries: list[Logged], kind: str) -> Logged:
    """The one entry of a kind."""
    (found,) = (entry for entry in entries if entry.record.kind == kind)
    return found


def opens(entry: Logged, field: str, value: bytes) -> bool:
    """Whether a record commits to this value, by the secret its node keeps."""
    return commit(entry.kept.secret, field, value) == entry.record.commitment(field)


def check_answered(told: Told, logs: dict[str, dict[str, list[Logged]]]) -> None:
    """One answered call: two records, the same in both logs, bound, and committing to what passed."""
    ours, theirs = (logs[node][told.message] for node in NODES)
    assert [entry.record.kind for entry in ours] == ["request", "response"]
    assert [entry.record.data for entry in ours] == [entry.record.data for entry in theirs]
    request, response = of_kind(ours, "request"), of_kind(ours, "response")
    assert response.record.bound_to() == request.bound
    path, _, query = told.target.partition("?")
    for entries in (ours, theirs):
        asked, answered = of_kind(entries, "request"), of_kind(entries, "response")
        assert (asked.kept.path, asked.kept.query) == (path, f"?{query}".encode())
        assert opens(asked, PATH, path.encode())
        assert opens(asked, QUERY, asked.kept.query)
        assert opens(asked, HEADERS, asked.kept.headers)
        assert opens(asked, BODY, told.sent)
        assert opens(answered, HEADERS, answered.kept.headers)
        assert opens(answered, BODY, told.got)
    assert json.loads(told.got)["sha256"] == sha256(told.sent).hexdigest()


def kill_under_load(country: BreakableCountry, echo, *, kills: int, seed: int, pause: float = 0.0) -> None:
    """Kill nodes while calls are made, then look at everything that is left."""
    random = Random(seed)
    calls_before = len(echo.calls)
    with Load(country, seed, pause) as load:
        for _ in range(kills):
            before = len(load.answered())
            country.until(lambda before=before: len(load.answered()) > before, 30)
            time.sleep(random.uniform(0, 0.4))
            node = random.choice(NODES)
            country.kill(f"node-{node}")
            country.begin(f"node-{node}")
        before = len(load.answered())
        country.until(lambda: len(load.answered()) > before + CALLERS, 30)
    answered = load.answered()
    assert len(answered) > 5 * kills

    for told in random.sample(answered, RECEIPTS):
        verdict = country.verdict(country.receipt(told.message))
        assert (verdict["ok"], verdict["state"]) == (True, "witnessed"), verdict
    unknown = [t.message for t in load.told if t.method == "POST" and b"outcome_unknown" in t.got][-UNKNOWN:]
    outcomes = {message: country.outcome(message) for message in unknown}

    for node in NODES:
        country.terminate(f"node-{node}")
        report = country.checked(node)
        assert report.ok, report.problems
    logs = {node: everything(country, node) for node in NODES}
    for told in answered:
        check_answered(told, logs)
    assert len({told.message for told in answered}) == len(answered)
    for entries in (e for log in logs.values() for e in log.values()):
        assert sum(entry.record.kind in {"response", "refused"} for entry in entries) <= 1

    for message, outcome in outcomes.items():
        kinds = [entry.record.kind for entry in logs["registers"].get(message, [])]
        assert outcome["peer"] == "answered"
        assert (
            outcome["outcome"]
            == {
                (): "never reached the provider",
                ("request",): "accepted, no answer on record yet",
                ("request", "response"): "answered",
            }[tuple(kinds)]
        )

    reached = Counter((c.method, c.target) for c in echo.calls[calls_before:] if c.target.startswith("/killed/"))
    for told in load.told:
        times = reached[told.method, told.target]
        assert times <= (1 if told.method == "POST" else 2)
        assert times >= (told.status == 200)


@pytest.fixture(scope="module")
def country(tmp_path_factory, echo):
    """A country whose nodes may be killed."""
    with breakable_country(tmp_path_factory.mktemp("killed") / "home", echo) as country:
        yield country


def test_what_was_answered_survives_kills(country, echo):
    """Twelve kills of either node: every answer stands in both logs, and nothing was done twice."""
    kill_under_load(country, echo, kills=12, seed=20_26)


@pytest.mark.slow
def test_what_was_answered_survives_many_kills(tmp_path, echo):
    """The same with two hundred kills."""
    with breakable_country(tmp_path / "home", echo) as country:
        kill_under_load(country, echo, kills=200, seed=7, pause=0.02)


def test_with_a_keeper_a_killed_node_comes_back_by_itself(country):
    """As under `qaztech up`: nobody starts it, calls go on, and the status says how often."""
    processes.start(country.home, only=RUNNING, keep=True)
    try:
        # The keeper takes up its work, and then somebody kills.
        country.until(lambda: keeper.read_records(country.home / "run"), 10.0)
        country.kill("node-registers")
        now = processes.wait(country.home, 40.0, only=("node-registers", "keeper"), patient=True)
        assert now["restarts"]["node-registers"]["restarts"] == 1
        assert "started again once" in processes.troubles(country.home)["node-registers"][0]
        country.until(lambda: country.echoed("/kept").status == 200, 20.0)
    finally:
        processes.stop(country.home, only=("keeper",))
    assert not processes.status(country.home)["restarts"]

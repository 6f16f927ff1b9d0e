"""Finding exchanges in the logs of a node: all of them, page by page, at a cost that does not grow with the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from qaztech.core.errors import Limited, Malformed
from qaztech.core.record import Record, format_record, hash_text
from qaztech.core.time import ManualClock
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.storage import OsStorage
from qaztech.node import finding
from qaztech.node.finding import ExchangeFinder, Question
from qaztech.node.renewal import CLOSED_LOGS
from qaztech.trust.keys import Ed25519Key

START = 1_795_413_600_000
HASH = hash_text(bytes(32))
PEER = f"kz.qaztech.example/log/{9:020x}"
PERMITS, RESEARCH = "KZ/GOV/991340000017/permits", "KZ/EDU/991340000037/research"
CODES, LAND = "KZ/QUASI/991340000027/codes/list", "KZ/QUASI/991340000027/land/parcels"


class Written:
    """A log on a disk, with exchanges a second apart."""

    def __init__(self, directory: Path, number: int, start: int = START) -> None:
        self.origin = f"kz.qaztech.example/log/{number:020x}"
        self.now, self._serial = start, 0
        key = Ed25519Key.from_seed(bytes([number]) * 32)
        directory.parent.mkdir(parents=True, exist_ok=True)
        self.log = Log.create(directory, storage=OsStorage(), key=key, origin=self.origin, clock=ManualClock(start))

    def add(self, message: str, data: bytes, later: int = 0) -> None:
        self.now += later
        self.log.commit([Entry(UUID(message).bytes, self.now, data, b"")])

    def request(self, *, client: str = PERMITS, service: str = CODES, ours: bool = True) -> Record:
        self._serial += 1
        self.now += 1000
        message = str(UUID(bytes=self.now.to_bytes(6) + b"\x70\x00\x80\x00" + self._serial.to_bytes(6)))
        maker, other = (self.origin, PEER) if ours else (PEER, self.origin)
        record = format_record(
            "request", message=message, from_=maker, to=other, client=client, service=service, method="GET",
            endpoint="GET /*", snapshot=f"12 {'9' * 64}", time=self.now, expires=self.now + 60_000, attempt=1, size=0,
            path=HASH, query=HASH, headers=HASH, body=HASH,
        )  # fmt: skip
        self.add(message, record.data)
        return record

    def end(self, kind: Any, request: Record, later: int = 5, **fields: Any) -> None:
        maker, other = request["to"], request["from"]
        if kind in {"no-answer", "aborted"}:
            maker, other = other, maker
        else:
            fields["snapshot"] = f"12 {'9' * 64}"
        record = format_record(
            kind, message=request["message"], from_=maker, to=other, client=request["client"],
            service=request["service"], request=f"{hash_text(leaf_hash(request.data))} 0", time=self.now, **fields,
        )  # fmt: skip
        self.add(request["message"], record.data, later)

    def answered(self, status: int = 200, **more: Any) -> str:
        request = self.request(**more)
        self.end("response", request, status=status, size=0, headers=HASH, body=HASH)
        return request["message"]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """The present log of a node."""
    found = Written(tmp_path / "log", 1)
    yield found
    found.log.close()


def ask(tmp_path: Path, most: int = finding.MOST, **query: Any) -> dict[str, Any]:
    """The answer to a question as it comes by HTTP."""
    question = Question.of({name: [str(value)] for name, value in query.items()})
    return ExchangeFinder(tmp_path, storage=OsStorage(), most=most).find(question)


def messages(answer: dict[str, Any]) -> list[str]:
    return [one["message"] for one in answer["exchanges"]]


def test_each_exchange_is_told_once_with_how_it_ended(tmp_path: Path, written: Written) -> None:
    """Answered, refused, unanswered, broken off, or still open; the newest first; on whose side."""
    written.add(str(UUID(int=0)), b"qaztech-log-continues 1\n")
    made = [written.answered(404, ours=False)]
    for kind, fields in (
        ("refused", {"code": "access-right.missing"}), ("no-answer", {"code": "peer.lost"}), (None, {}),
    ):  # fmt: skip
        request = written.request()
        made.append(request["message"])
        if kind:
            written.end(kind, request, later=7, **fields)
    answer = ask(tmp_path)
    assert (answer["next"], answer["back_to"], messages(answer)) == (None, None, made[::-1])
    told = [(one["side"], one["state"], one["status"], one["milliseconds"]) for one in answer["exchanges"]]
    assert told == [
        ("consumer", "open", 0, 0), ("consumer", "no-answer", 0, 7), ("consumer", "access-right.missing", 0, 7),
        ("provider", "answered", 404, 5),
    ]  # fmt: skip
    first = answer["exchanges"][-1]
    assert (first["client"], first["service"], first["peer"], first["time"]) == (PERMITS, CODES, PEER, START + 1000)


def test_by_time_service_client_and_member(tmp_path: Path, written: Written) -> None:
    """Each alone and together; `to` is not in it."""
    one, two = written.answered(), written.answered(client=RESEARCH, service=LAND)
    three = written.answered(client=RESEARCH)
    second = START + 2000 + 5
    assert messages(ask(tmp_path, **{"from": second})) == [three, two]
    assert messages(ask(tmp_path, **{"from": second, "to": second + 1000})) == [two]
    assert messages(ask(tmp_path, service="LAND parcels")) == [two]
    assert messages(ask(tmp_path, service="research codes")) == [three]
    assert messages(ask(tmp_path, member="KZ/EDU/991340000037")) == [three, two]
    assert messages(ask(tmp_path, member="KZ/QUASI/991340000027")) == [three, two, one]
    assert messages(ask(tmp_path, member="KZ/EDU/99134000003")) == []
    assert messages(ask(tmp_path, to=START)) == []


def test_an_answer_beyond_the_time_that_is_asked_for_counts(tmp_path: Path, written: Written) -> None:
    """What ended later is looked up by its message id."""
    slow = written.request()
    written.answered()
    written.end("response", slow, later=60_000, status=200, size=0, headers=HASH, body=HASH)
    (found,) = ask(tmp_path, to=START + 2000)["exchanges"]
    assert (found["message"], found["state"], found["milliseconds"]) == (slow["message"], "answered", 61_005)


def test_pages_follow_one_another_through_all_logs(tmp_path: Path, written: Written) -> None:
    """Every exchange once, back into the logs before the present one; a cut in the middle of a page is no loss."""
    made = []
    for number, start in ((2, START - 86_400_000), (3, START - 2 * 86_400_000)):
        before = Written(tmp_path / CLOSED_LOGS / f"a{number}" / "log", number, start)
        made += [before.answered() for _ in range(4)][::-1]
        before.log.close()
    made = [written.answered() for _ in range(5)][::-1] + made
    for most in (3, 100):
        found: list[str] = []
        answer = ask(tmp_path, most, limit=3)
        for _ in range(40):
            found += messages(answer)
            if answer["next"] is None:
                break
            answer = ask(tmp_path, most, limit=3, before=answer["next"])
        assert found == made
    place = ask(tmp_path)["exchanges"][6]["at"]
    assert messages(ask(tmp_path, before=place)) == made[7:]
    since = ask(tmp_path, **{"from": START - 86_400_000 + 4000})
    assert messages(since) == made[:6]


def test_a_search_ends_where_it_has_cost_enough(tmp_path: Path, written: Written) -> None:
    """Nothing found so far is an answer too: it says how far back it has looked, and where to go on."""
    wanted = written.answered(service=LAND)
    for _ in range(30):
        written.answered()
    answer = ask(tmp_path, 20, service="land")
    assert (answer["exchanges"], answer["back_to"] > START + 2000) == ([], True)
    rounds = 1
    while not answer["exchanges"]:
        answer, rounds = ask(tmp_path, 20, service="land", before=answer["next"]), rounds + 1
    assert (messages(answer), rounds) == ([wanted], 4)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "x"}, {"to": "-1"}, {"limit": "1" * 20}, {"before": "x"}, {"before": "../log-1"},
        {"before": f"{9:020x}-1"}, {"service": "a " * 11},
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused(tmp_path: Path, written: Written, query: dict[str, str]) -> None:
    """A place of a log that this node never had, too."""
    written.answered()
    with pytest.raises(Malformed):
        ask(tmp_path, **query)


def test_one_search_at_a_time(tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits too long is told to come again."""
    monkeypatch.setattr(finding, "_WAIT_SECONDS", 0.01)
    written.answered()
    finder = ExchangeFinder(tmp_path, storage=OsStorage())
    with finder._turn, pytest.raises(Limited) as caught:
        finder.find(Question())
    assert caught.value.code == "exchange.busy"
    assert len(finder.find(Question())["exchanges"]) == 1

"""Finding exchanges in a node's logs: by time, service, client or member, the newest first, page by page.

It reads the logs like any auditor, in a thread of its own, with files of its own: the data plane does nothing for it. A
search by time is one in sorted rows; what words ask for is compared record by record, no more than `MOST` for one
question, and the answer then says how far back it has looked and where to go on. What was refused before it was
recorded is in no log, and so not here (`events`). By message id: `receipts`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from qaztech.core.errors import Limited, Malformed
from qaztech.core.record import Record, parse_record
from qaztech.evidence.storage import Storage
from qaztech.evidence.view import LogView
from qaztech.node.renewal import CLOSED_LOGS

# Records looked at for one question, and how many of them between two breaths for the node's other threads.
MOST: Final = 10_000
_BREATH: Final = 50
_BREATH_SECONDS: Final = 0.002
MOST_FOUND: Final = 100
MOST_WORDS: Final = 10
_WAIT_SECONDS: Final = 5.0
_CURSOR = re.compile(r"([0-9a-z]{1,64})-(0|[1-9][0-9]{0,15})\Z")
# What says how an exchange ended, the last word first.
_ENDS: Final = ("response", "refused", "no-answer", "aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is looked for: times in milliseconds by the log's own clock, `until` excluded; `before` is an answer's."""

    since: int | None = None
    until: int | None = None
    words: tuple[str, ...] = ()
    member: str = ""
    limit: int = 50
    before: str = ""

    @classmethod
    def of(cls, query: dict[str, list[str]]) -> Question:
        """From a URL's query. Raises `Malformed`."""

        def first(name: str) -> str:
            return query.get(name, [""])[0]

        def number(name: str) -> int | None:
            text = first(name)
            if text and not (text.isascii() and text.isdecimal() and len(text) < 16):
                raise Malformed("request.malformed", f"{name} is a whole number", at="caller")
            return int(text) if text else None

        words = tuple(first("service").casefold().split())
        if len(words) > MOST_WORDS:
            raise Malformed("request.malformed", f"at most {MOST_WORDS} words", at="caller")
        limit = number("limit")
        return cls(
            since=number("from"), until=number("to"), words=words, member=first("member"),
            limit=50 if limit is None else max(1, min(MOST_FOUND, limit)), before=first("before"),
        )  # fmt: skip

    def asks_for(self, record: Record) -> bool:
        """Whether this request is one that is looked for."""
        client, service = record.fields.get("client", ""), record.fields.get("service", "")
        mine = (f"{client}/", f"{service}/")
        if self.member and not any(one.startswith(f"{self.member}/") for one in mine):
            return False
        text = f"{service} {client}".casefold()
        return all(word in text for word in self.words)


class Found(NamedTuple):
    """An exchange as the log has it. `state` is `answered`, `open`, a code, or the kind of record that ended it.

    `milliseconds` lie between its first and last record in this log; `at` is where to go on behind it.
    """

    side: str
    message: str
    client: str
    service: str
    method: str
    peer: str
    time: int
    milliseconds: int
    state: str
    status: int
    at: str


class Finder(Protocol):
    """How the management API asks."""

    def find(self, question: Question) -> dict[str, Any]:
        """The answer as it is told."""
        ...


class ExchangeFinder:
    """Searches the logs of one node. `find` blocks: call it from a thread; one search at a time."""

    def __init__(self, directory: Path, *, storage: Storage, most: int = MOST) -> None:
        self._directory = directory
        self._storage = storage
        self._most = most
        self._turn = threading.Lock()

    def find(self, question: Question) -> dict[str, Any]:
        """`exchanges`, newest first; `next` to go on with, or None at the end; `back_to`, how far back it looked.

        Raises `Malformed` for a place to go on from that is none, `Limited` while others search.
        """
        if not self._turn.acquire(timeout=_WAIT_SECONDS):
            raise Limited("exchange.busy", "others search this node's log at this moment", at="log", retry_after=5)
        try:
            return self._find(question)
        finally:
            self._turn.release()

    def _find(self, question: Question) -> dict[str, Any]:
        name, index = _cursor(question.before)
        found: list[Found] = []
        left = self._most
        with closing(self._logs()) as logs:
            for view in logs:
                if name and _name(view) != name:
                    continue
                search = _Search(view, question, index)
                name, index = "", None
                left = search.look(found, left)
                if search.at > search.low:
                    return _answer(found, f"{_name(view)}-{search.at}", view.rows(search.at - 1, search.at)[0].time)
                if search.low > 0 and question.since is not None:
                    break  # logs before this one are older still
        if name:
            raise Malformed("request.malformed", "there is no such place to go on from", at="caller")
        return _answer(found, None, None)

    def _logs(self) -> Generator[LogView]:
        """The present log, then those before it, the latest first."""
        with ExitStack() as open_:

            def opened(directory: Path) -> LogView:
                return open_.enter_context(LogView.open_read_only(directory, storage=self._storage))

            yield opened(self._directory / "log")
            closed = [opened(path) for path in sorted((self._directory / CLOSED_LOGS).glob("*/log"))]
            yield from sorted((view for view in closed if view.size), key=_last_time, reverse=True)


class _Search:
    """One log, looked through from its end or from a place in it. `at` is where it has come to, `low` its end."""

    def __init__(self, view: LogView, question: Question, index: int | None) -> None:
        self._view = view
        self._question = question
        self._seen: dict[bytes, list[tuple[int, Record]]] = {}
        self._told: set[bytes] = set()
        self.at = view.size if question.until is None else view.index_at(question.until)
        if index is not None:
            self.at = min(index, self.at)
        self.low = min(self.at, 0 if question.since is None else view.index_at(question.since))

    def look(self, found: list[Found], left: int) -> int:
        """Add what is found until there is enough, or `left` records were looked at; gives what is left."""
        while self.at > self.low and left and len(found) < self._question.limit:
            self.at -= 1
            left -= 1
            if left % _BREATH == 0:
                time.sleep(_BREATH_SECONDS)
            self._take(self.at, found)
        return left

    def _take(self, index: int, found: list[Found]) -> None:
        entry = self._view.read(index)
        try:
            record = parse_record(entry.data)
        except Malformed:  # the first leaf of a log that continues another
            return
        if record.kind != "request":
            self._seen.setdefault(entry.message, []).append((entry.time, record))
        elif entry.message not in self._told and self._question.asks_for(record):
            self._told.add(entry.message)
            found.append(self._exchange(index, entry.message, entry.time, record))

    def _exchange(self, index: int, message: bytes, began: int, record: Record) -> Found:
        others = self._seen.get(message) or list(self._others(message, index))
        kinds = {one.kind: one for _, one in others}
        end = next((kinds[kind] for kind in _ENDS if kind in kinds), None)
        state, status = "open", 0
        if end is not None:
            state = {"response": "answered", "refused": end.fields.get("code", "refused")}.get(end.kind, end.kind)
            status = int(end.fields.get("status", "0")) if end.kind == "response" else 0
        ours = record["from"] == self._view.origin
        fields = record.fields
        return Found(
            side="consumer" if ours else "provider", message=str(UUID(bytes=message)), client=fields["client"],
            service=fields["service"], method=fields["method"], peer=record["to"] if ours else record["from"],
            time=began, milliseconds=max([0, *(ended - began for ended, _ in others)]), state=state, status=status,
            at=f"{_name(self._view)}-{index}",
        )  # fmt: skip

    def _others(self, message: bytes, index: int) -> Iterator[tuple[int, Record]]:
        """The other records of an exchange, where they stand beyond what was looked at."""
        for place in self._view.find(message):
            if place != index:
                entry = self._view.read(place)
                record = parse_record(entry.data)
                if record.kind != "request":
                    yield entry.time, record


def _answer(found: list[Found], further: str | None, back_to: int | None) -> dict[str, Any]:
    return {"exchanges": [one._asdict() for one in found], "next": further, "back_to": back_to}


def _cursor(text: str) -> tuple[str, int | None]:
    if not text:
        return "", None
    match = _CURSOR.match(text)
    if match is None:
        raise Malformed("request.malformed", "there is no such place to go on from", at="caller")
    return match[1], int(match[2])


def _name(view: LogView) -> str:
    return view.origin.rpartition("/")[2]


def _last_time(view: LogView) -> int:
    return view.rows(view.size - 1, view.size)[0].time

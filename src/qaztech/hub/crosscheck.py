"""The same exchange in two logs: what one log took from another must stand in that other, and ends should agree.

Pure. Both parties' logs hold the same record bytes, and both are complete as far as they were delivered, so absence is
a fact, not a guess. A *contradiction* cannot come about between honest nodes; a *difference* can (a link was lost, a
node was killed), and says that the two sides know different ends of one exchange; an *omission* is a log that has not
been delivered for too long, though others name it. Not here: the arithmetic of one log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from qaztech.node.operational_rows import Row

CONTRADICTION: Final = "contradiction"
DIFFERENCE: Final = "difference"
OMISSION: Final = "omission"
Level = Literal["contradiction", "difference", "omission"]
# How long after a record the other side's may come, in milliseconds: a message's life and the clocks' skew are within.
GRACE: Final = 15 * 60_000
_ENDS: Final = frozenset({"response", "refused", "no-answer"})
_TAILS: Final = frozenset({"request-tail", "response-tail"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not add up: in `origin`, seen against `other`, of a message (or a place in the log)."""

    code: str
    level: Level
    origin: str
    other: str
    message: str
    place: int
    detail: str


def cross_check(rows: Iterable[Row], held: Mapping[str, int], *, grace: int = GRACE) -> list[Finding]:
    """What does not add up among these rows; all rows of a message must be among them.

    `held` says for each log that was delivered until when (milliseconds) it is complete. A row is judged only once its
    counterparty's log is complete for a while after it.
    """
    messages: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.message is not None:
            messages[row.message].append(row)
    return [
        finding for message in sorted(messages) for finding in _Message(message, messages[message], held, grace).judge()
    ]


def late_logs(named: Mapping[str, int], held: Mapping[str, tuple[int, int]]) -> list[Finding]:
    """Logs that others have named (when last, milliseconds) later than they are held (leaves, time of the last).

    `named` leaves out what was recorded so lately that it need not be delivered yet.
    """
    findings = []
    for origin, last in sorted(named.items()):
        size, recorded = held.get(origin, (0, 0))
        if last > recorded + GRACE:
            since = (
                f"{(last - recorded) // 60_000} minutes after the last leaf held" if size else "and it never delivered"
            )
            detail = f"other logs name it, {since}"
            findings.append(
                Finding(
                    code="exchange.not-delivered", level=OMISSION, origin=origin, other="", message="", place=size,
                    detail=detail,
                )
            )  # fmt: skip
    return findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """For whom a log was a side of exchanges by its own word, and the first of them; empty where it was no side."""

    log: str
    party: str
    place: int
    message: str


def foreign_parties(parties: Iterable[Party], members: Mapping[str, Iterable[str]]) -> list[Finding]:
    """Exchanges in the name of members that a log does not speak for. `members` has those it does, for known logs."""
    findings = []
    for each in parties:
        spoken_for = members.get(each.log)
        if spoken_for is None or any(each.party.startswith(f"{member}/") for member in spoken_for):
            continue
        detail = f"the log speaks for {each.party}, and may not" if each.party else "an exchange of two other logs"
        findings.append(
            Finding(
                code="exchange.not-its-party", level=CONTRADICTION, origin=each.log, other="", message=each.message,
                place=each.place, detail=detail,
            )
        )  # fmt: skip
    return findings


class _Message:
    """The rows of one message in all logs."""

    def __init__(self, message: str, rows: list[Row], held: Mapping[str, int], grace: int) -> None:
        self._message = message
        self._rows = sorted(rows, key=lambda row: (row.log, row.place))
        self._held = held
        self._grace = grace
        self._logs: dict[bytes, set[str]] = defaultdict(set)
        for row in rows:
            self._logs[row.leaf].add(row.log)

    def judge(self) -> list[Finding]:
        """Every finding of this message."""
        return [*self._invented(), *self._answers(), *self._ends(), *self._tails()]

    def _complete(self, log: str | None, row: Row) -> bool:
        """Whether a log is at hand for long enough after a row to say that it lacks something."""
        return log is not None and log in self._held and row.recorded + self._grace <= self._held[log]

    def _invented(self) -> Iterable[Finding]:
        """Records that stand in a log as another's, and that other does not have."""
        for row in self._rows:
            maker = row.maker
            if maker is None or maker == row.log or maker in self._logs[row.leaf] or not self._complete(maker, row):
                continue
            yield self._finding(
                "exchange.not-made", CONTRADICTION, row, maker,
                f"the log holds a {row.kind} record of {maker}, which does not stand in that log",
            )  # fmt: skip

    def _answers(self) -> Iterable[Finding]:
        """An answer without its request in the log that made it, and two answers to one request."""
        seen: dict[tuple[str, bytes], Row] = {}
        for row in self._rows:
            if row.kind not in {"response", "refused"} or row.maker != row.log or row.bound_leaf is None:
                continue
            other = row.receiver or ""
            if row.log not in self._logs[row.bound_leaf]:
                yield self._finding(
                    "exchange.no-request",
                    CONTRADICTION,
                    row,
                    other,
                    "an answer to a request that the log does not hold",
                )
            first = seen.setdefault((row.log, row.bound_leaf), row)
            if first.leaf != row.leaf:
                yield self._finding(
                    "exchange.two-answers", CONTRADICTION, row, other, "a second, different answer to one request"
                )

    def _ends(self) -> Iterable[Finding]:
        """Requests whose two sides know different ends."""
        ends: dict[tuple[str, bytes], Row] = {}
        for row in self._rows:
            if row.kind in _ENDS and row.bound_leaf is not None:
                ends.setdefault((row.log, row.bound_leaf), row)
        for request in self._rows:
            provider = request.receiver
            if request.kind != "request" or request.maker != request.log or provider is None or provider == request.log:
                continue
            if not (self._complete(provider, request) and self._complete(request.log, request)):
                continue
            mine, theirs = ends.get((request.log, request.leaf)), ends.get((provider, request.leaf))
            if mine is not None and theirs is not None and mine.leaf == theirs.leaf:
                continue
            if mine is not None and mine.kind == "no-answer" and theirs is None:
                continue  # both know of no answer
            if mine is not None and mine.kind != "no-answer" and theirs is None:
                continue  # the answer was invented, and is found as such
            yield self._finding(
                "exchange.ends-differ", DIFFERENCE, request, provider,
                f"the consumer's log says {_end(mine)}, the provider's {_end(theirs)}",
            )  # fmt: skip

    def _tails(self) -> Iterable[Finding]:
        """Ends of streamed bodies that the other side, which has their beginning, does not have."""
        aborted = {row.log for row in self._rows if row.kind == "aborted"}
        for row in self._rows:
            other = row.receiver
            if row.kind not in _TAILS or row.maker != row.log or other is None or not self._complete(other, row):
                continue
            if other in self._logs[row.leaf] or other not in self._logs[row.bound_leaf or b""]:
                continue
            if row.outcome != "aborted" or other not in aborted:
                yield self._finding(
                    "exchange.ends-differ", DIFFERENCE, row, other,
                    f"the log says that the body went {row.outcome}, the other side's does not hold its end",
                )  # fmt: skip

    def _finding(self, code: str, level: Level, row: Row, other: str, detail: str) -> Finding:
        return Finding(
            code=code, level=level, origin=row.log, other=other, message=self._message, place=row.place, detail=detail
        )


def _end(row: Row | None) -> str:
    if row is None:
        return "nothing"
    what = row.status if row.kind == "response" else row.code
    return f"{row.kind} {what}"

"""A month's statement out of a node's own records: what consumers told of their calls' usage, as both nodes keep it.

A gateway tells usage in a header that the request's record commits to (docs/formats/ai-call.md), so consumer and host
hold the same line and sum the same. A call belongs to the month of its own id, and counts once however often it was
told. Only reads. Not here: what a gateway's ledger says (`ai.gateway.usage`), receipts for others (`node.receipts`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from qaztech.ai.gateway.budgeting import exact_tenge, month_span, whole_tenge
from qaztech.core.commitment import HEADERS, commit
from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.record import Record, parse_record
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView, StoredEntry
from qaztech.node.journal import open_kept
from qaztech.node.leaving import logs_in

HEADER: Final = "x-qaztech-ai-usage"
OUTCOMES: Final = frozenset({"complete", "aborted", "failed", "cached", "orphaned"})
_LINE = re.compile(rf"(?:\A|\n){HEADER}:[ \t]*([\x20-\x7e]{{1,2000}})", re.IGNORECASE)
_NAMES: Final = (
    "call", "exchange", "model", "version", "prompt", "completion", "estimated", "cost", "outcome", "answer",
)  # fmt: skip
_COUNT = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z")
# Usage is told after the call, and the clocks of two sides are not one.
_BEFORE_MS: Final = 3_600_000
_PAGE: Final = 100
_MOST_FILE: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one call. `message` is the exchange that tells it; `cost` is micro-tenge."""

    call: str
    exchange: str
    message: str
    client: str
    service: str
    model: str
    version: str
    prompt: int
    completion: int
    estimated: bool
    cost: int
    outcome: str
    answer: str

    @property
    def time(self) -> int:
        """When the call was made (milliseconds), by its id."""
        return UUID(self.call).int >> 80


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedLine:
    """Sums of a consumer's calls of one model. `cost` is micro-tenge."""

    client: str
    service: str
    model: str
    version: str
    calls: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A month by a node's records. `twice` are calls that were told twice with different words: the first counts."""

    month: str
    lines: tuple[ProvedLine, ...]
    each: tuple[Told, ...]
    twice: tuple[str, ...]

    @property
    def total(self) -> int:
        """What all cost, in micro-tenge."""
        return sum(line.cost for line in self.lines)

    def facts(self) -> dict[str, Any]:
        """As programs read it; `--compare` on the other side takes it."""
        return {
            "month": self.month, "lines": [asdict(line) for line in self.lines], "calls": len(self.each),
            "micro_tenge": self.total, "exact": exact_tenge(self.total), "tenge": whole_tenge(self.total),
            "told_twice": list(self.twice), "each": [asdict(told) for told in self.each],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """A call on which both sides do not agree. `here` and `there` hold what differs; None: that side has no such call.

    `message` is the exchange whose receipt settles it, where it is known.
    """

    call: str
    message: str
    here: Mapping[str, Any] | None
    there: Mapping[str, Any] | None


def parse_usage(line: str) -> dict[str, str]:
    """The fields of a line of usage. Raises `Malformed` for anything a gateway would not write."""
    pairs = [part.partition("=") for part in line.strip().split("; ")]
    found = {name: value for name, _, value in pairs}
    if tuple(name for name, _, _ in pairs) != _NAMES or not all(found.values()):
        raise _malformed("the fields of a line of usage")
    if not all(_COUNT.match(found[name]) for name in ("prompt", "completion", "cost")):
        raise _malformed("counts of a line of usage")
    if found["outcome"] not in OUTCOMES or found["estimated"] not in {"yes", "no"}:
        raise _malformed("the outcome of a line of usage")
    try:
        if UUID(found["call"]).version != 7 or str(UUID(found["call"])) != found["call"]:
            raise _malformed("a call's id")
    except ValueError as exc:
        raise _malformed("a call's id") from exc
    return found


def told_by(headers: str, *, client: str, service: str, message: str) -> Told | None:
    """What the header lines of a request tell of usage; None where they tell nothing that can be read."""
    match = _LINE.search(headers)
    if match is None:
        return None
    try:
        found = parse_usage(match[1])
    except Malformed:
        return None
    return Told(
        call=found["call"], exchange=found["exchange"], message=message, client=client, service=service,
        model=found["model"], version=found["version"], prompt=int(found["prompt"]),
        completion=int(found["completion"]), estimated=found["estimated"] == "yes", cost=int(found["cost"]),
        outcome=found["outcome"], answer=found["answer"],
    )  # fmt: skip


def read_node(directory: Path, month: str) -> Iterator[Told]:
    """What a node's logs hold since a month began, in their order; beside the running node. Raises `Malformed`."""
    since = _span(month)[0] - _BEFORE_MS
    for folder in logs_in(directory):
        with LogView.open_read_only(folder, storage=OsStorage()) as log:
            for index in range(log.index_at(since), log.size):
                told = _told(log.read(index))
                if told is not None:
                    yield told


def ask_node(ask: Callable[[str], Any], month: str, member: str = "") -> Iterator[Told]:
    """The same of a node's management API, of which `ask` gets the JSON at a path: by receipts that disclose headers.

    Raises `Malformed`, and what `ask` raises.
    """
    query = {"from": str(_span(month)[0] - _BEFORE_MS), "limit": str(_PAGE), **({"member": member} if member else {})}
    further = ""
    while True:
        page = ask(f"/exchanges/search?{urlencode(query | ({'before': further} if further else {}))}")
        for one in page["exchanges"]:
            if one["method"] == "GET" and one["state"] == "answered":
                receipt = ask(f"/receipts/{one['message']}?disclose=request.headers")
                told = told_by(
                    _disclosed(receipt), client=one["client"], service=one["service"], message=one["message"]
                )
                if told is not None:
                    yield told
        further = page["next"]
        if not further:
            return


def prove(found: Iterable[Told], month: str, *, client: str = "", provider: str = "") -> Proved:
    """The statement of a month: of a client member, of a provider, or of all. Raises `Malformed`."""
    begin, end = _span(month)
    by_call: dict[str, Told] = {}
    twice: set[str] = set()
    for told in sorted(found, key=lambda one: (one.call, one.message)):
        if not begin <= told.time < end or not _is_of(told, client, provider):
            continue
        first = by_call.setdefault(told.call, told)
        if first != told and _facts(first) != _facts(told):
            twice.add(told.call)
    each = tuple(by_call.values())
    return Proved(month=month, lines=_lines(each), each=each, twice=tuple(sorted(twice)))


def compare(here: Sequence[Told], there: Iterable[Mapping[str, Any]]) -> list[Unlike]:
    """On which calls the other side's list (`each` of a statement, or lines of `--calls`) says something else.

    Calls that have not ended, and those that no exchange was made for and that cost nothing, are nobody's to prove.
    """
    known = {told.call: told for told in here}
    unlike: list[Unlike] = []
    seen: set[str] = set()
    for row in there:
        said = _said(row)
        call = said.pop("call")
        seen.add(call)
        told = known.get(call)
        if told is None:
            if said["outcome"] != "open" and not (said["cost"] == 0 and not row.get("exchange")):
                message = str(row.get("usage_exchange") or row.get("message") or "")
                unlike.append(Unlike(call=call, message=message, here=None, there=said))
            continue
        own = _facts(told)
        differing = [name for name in said if said[name] != own[name]]
        if differing:
            unlike.append(
                Unlike(
                    call=call, message=told.message, here={name: own[name] for name in differing},
                    there={name: said[name] for name in differing},
                )
            )  # fmt: skip
    unlike += [
        Unlike(call=told.call, message=told.message, here=_facts(told), there=None)
        for told in here
        if told.call not in seen
    ]
    return sorted(unlike, key=lambda one: one.call)


def read_other(path: Path) -> list[Mapping[str, Any]]:
    """The other side's list of calls: a statement as JSON, or a JSON object a line. Raises `Malformed`."""
    if path.stat().st_size > _MOST_FILE:
        raise _malformed("a file of that size")
    data = path.read_bytes()
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        try:
            found = {"each": msgspec.json.Decoder().decode_lines(data)}
        except (msgspec.DecodeError, RecursionError) as exc:
            raise _malformed("neither a statement as JSON nor lines of calls") from exc
    if isinstance(found, dict) and "each" not in found and "id" in found:
        found = {"each": [found]}
    rows = found.get("each") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _malformed("a statement without its calls (`each`)")
    return rows


def _told(entry: StoredEntry) -> Told | None:
    """What a record and what is kept beside it tell; what does not open the record's commitment tells nothing."""
    kept = open_kept(entry.private)
    if HEADER.encode() not in kept.headers.lower():
        return None
    try:
        record = parse_record(entry.data)
    except Error:
        return None
    if record.kind != "request" or not _opens(record, kept.secret, kept.headers):
        return None
    return told_by(
        kept.headers.decode("latin-1"), client=record["client"], service=record["service"],
        message=str(UUID(bytes=entry.message)),
    )  # fmt: skip


def _opens(record: Record, secret: bytes, headers: bytes) -> bool:
    return base64.b64encode(commit(secret, HEADERS, headers)).decode() == record["headers"]


def _disclosed(receipt: Any) -> str:
    for each in receipt.get("disclosure", ()):
        if each.get("role") == "request" and each.get("field") == HEADERS:
            return base64.b64decode(each["value"]).decode("latin-1")
    return ""


def _is_of(told: Told, client: str, provider: str) -> bool:
    return (not client or SubsystemId.parse(told.client).member == MemberId.parse(client)) and (
        not provider or ServiceId.parse(told.service).subsystem.member == MemberId.parse(provider)
    )


def _lines(each: Sequence[Told]) -> tuple[ProvedLine, ...]:
    groups: dict[tuple[str, str, str, str], list[Told]] = {}
    for told in each:
        groups.setdefault((told.client, told.service, told.model, told.version), []).append(told)
    return tuple(
        ProvedLine(
            client=key[0], service=key[1], model=key[2], version=key[3], calls=len(group),
            failed=sum(told.outcome == "failed" for told in group), prompt_tokens=sum(told.prompt for told in group),
            completion_tokens=sum(told.completion for told in group), cost=sum(told.cost for told in group),
        )
        for key, group in sorted(groups.items())
    )  # fmt: skip


def _facts(told: Told) -> dict[str, Any]:
    """What both sides have to agree on."""
    return {
        "prompt": told.prompt, "completion": told.completion, "cost": told.cost, "outcome": told.outcome,
        "exchange": told.exchange,
    }  # fmt: skip


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of the other side's row: of its records, or of its ledger, which has other names."""
    call = row.get("call", row.get("id"))
    outcome = row.get("outcome")
    counts = (
        row.get("prompt", row.get("prompt_tokens")) or 0, row.get("completion", row.get("completion_tokens")) or 0,
        row.get("cost") or 0,
    )  # fmt: skip
    if not isinstance(call, str) or not isinstance(outcome, str) or not all(type(each) is int for each in counts):
        raise _malformed("a row that is no call")
    return {
        "call": call, "prompt": counts[0], "completion": counts[1], "cost": counts[2], "outcome": outcome,
        "exchange": str(row.get("exchange") or ""),
    }  # fmt: skip


def _span(month: str) -> tuple[int, int]:
    try:
        return month_span(month)
    except (ValueError, OverflowError) as exc:
        raise Malformed("ai.usage.month", "a month is written YYYY-MM", at="caller") from exc


def _malformed(what: str) -> Malformed:
    return Malformed("ai.usage.told", f"not what tells of usage: {what}", at="caller")

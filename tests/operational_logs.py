"""Two logs that held exchanges with one another, in memory or on a disk, and a centre to deliver them to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from asgi_caller import Answer, Caller
from databases import database_at
from qaztech.core.errors import Conflict
from qaztech.core.ids import MemberId
from qaztech.core.record import Record, format_record, hash_text
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import sign_checkpoint
from qaztech.evidence.log import Entry, Log, NoteFrame
from qaztech.evidence.merkle import Frontier, leaf_hash
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.policy import Policy
from qaztech.evidence.storage import OsStorage
from qaztech.hub.delivery import check_manifest
from qaztech.hub.operational import hub_app
from qaztech.hub.receiving import Deliveries, LogOwner
from qaztech.hub.store import METADATA, OperationalStore
from qaztech.node.journal import WITNESSED
from qaztech.node.operational import Delivery, Held
from qaztech.node.operational_manifest import FORMAT, Manifest, Part, date_of
from qaztech.node.operational_rows import Row, day_of, row_of
from qaztech.runtime.database import open_database
from qaztech.trust.keys import Ed25519Key

START = 1_795_413_600_000
CLIENT = "KZ/GOV/991340000017/permits"
SERVICE = "KZ/QUASI/991340000027/registers/countries"
CONSUMER, PROVIDER = MemberId.parse("KZ/GOV/991340000017"), MemberId.parse("KZ/QUASI/991340000027")
POLICY = Policy.parse(b"quorum none\n")
_HASH = hash_text(bytes(32))


@dataclass
class WrittenLog:
    """A log in memory, and what it signs."""

    number: int
    entries: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"kz.qaztech.example/log/{self.number:020x}"

    @property
    def key(self) -> Ed25519Key:
        return Ed25519Key.from_seed(bytes([self.number]) * 32)

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return (VerifierKey.of(self.origin, ED25519, self.key.public),)

    @property
    def recorded(self) -> int:
        return self.entries[-1][0] if self.entries else 0

    def append(self, data: bytes, now: int) -> int:
        self.entries.append((now, data))
        return len(self.entries) - 1

    def rows(self, start: int = 0, stop: int | None = None) -> list[Row]:
        stop = len(self.entries) if stop is None else stop
        return [row_of(self.origin, at, *self.entries[at]) for at in range(start, stop)]

    def checkpoint(self, size: int) -> bytes:
        frontier = Frontier()
        frontier.extend(leaf_hash(data) for _, data in self.entries[:size])
        return sign_checkpoint(self.origin, size, frontier.root(), self.key)

    def manifest(self, start: int, stop: int, *, of: list[Row] | None = None) -> Manifest:
        """What an honest node would say of these leaves (or of other rows, if given)."""
        rows = self.rows(start, stop) if of is None else of
        kinds: dict[str, int] = {}
        days: dict[str, list[int]] = {}
        for row in rows:
            kinds[row.kind] = kinds.get(row.kind, 0) + 1
            days.setdefault(date_of(day_of(row.recorded)), []).append(row.place)
        parts, at = [], start
        for date, places in days.items():
            parts.append(Part(date=date, start=at, stop=at + len(places), length=1, sha256="0" * 64))
            at += len(places)
        return Manifest(
            format=FORMAT, origin=self.origin, start=start, stop=stop,
            before=self.checkpoint(start).decode() if start else "", after=self.checkpoint(stop).decode(),
            kinds=dict(sorted(kinds.items())), parts=parts,
        )  # fmt: skip

    def claim(self, start: int, stop: int, *, of: list[Row] | None = None):
        return check_manifest(self.manifest(start, stop, of=of), POLICY, self.keys)

    def on_disk(self, directory: Path, *witnessed: int) -> None:
        """Write (or go on with) the log as a node would, witnessed at these sizes."""
        clock = ManualClock(START)
        directory.parent.mkdir(parents=True, exist_ok=True)
        make = Log.open if directory.exists() else partial(Log.create, segment_size=1 << 18)
        log = make(directory, storage=OsStorage(), key=self.key, origin=self.origin, clock=clock)
        try:
            new = [(at, *self.entries[at]) for at in range(log.size, len(self.entries))]
            if new:
                log.commit(
                    [Entry(now.to_bytes(6) + b"\x70\x00" + at.to_bytes(8), now, data, b"") for at, now, data in new]
                )
            held = log.note_count(WITNESSED)
            done = {log.read_note(WITNESSED, each)[0] for each in range(held)}
            notes = [NoteFrame(WITNESSED, size, self.checkpoint(size)) for size in witnessed if size not in done]
            if notes:
                log.commit(notes)
        finally:
            log.close()


@dataclass
class Pair:
    """A consumer's log and a provider's."""

    consumer: WrittenLog = field(default_factory=lambda: WrittenLog(1))
    provider: WrittenLog = field(default_factory=lambda: WrittenLog(2))
    now: int = START
    serial: int = 0

    @property
    def logs(self) -> tuple[WrittenLog, WrittenLog]:
        return self.consumer, self.provider

    def tick(self, milliseconds: int = 1) -> int:
        self.now += milliseconds
        return self.now

    def request(self, *, arrives: bool = True, size: int | str = 0, method: str = "GET") -> tuple[Record, int]:
        """A request, and its place in the consumer's log."""
        self.serial += 1
        record = format_record(
            "request", message=f"0199b2f4-6c1d-7a52-9c3e-{self.serial:012x}", from_=self.consumer.origin,
            to=self.provider.origin, client=CLIENT, service=SERVICE, method=method, endpoint=f"{method} /countries/*",
            snapshot=f"12 {'9' * 64}", time=self.now, expires=self.now + 60_000, attempt=1, size=size, path=_HASH,
            query=_HASH, headers=_HASH, body=_HASH if size != "-" else "-",
        )  # fmt: skip
        place = self.consumer.append(record.data, self.tick())
        if arrives:
            self.provider.append(record.data, self.tick())
        return record, place

    def bound(self, kind: str, request: Record, place: int, *, by: WrittenLog | None = None, **fields) -> Record:
        """A record about a request."""
        provider = kind in {"response", "refused"}
        maker, other = (self.provider, self.consumer) if provider else (self.consumer, self.provider)
        if by is not None:
            maker, other = by, next(log for log in self.logs if log is not by)
        if provider:
            fields["snapshot"] = f"12 {'9' * 64}"
        return format_record(
            kind, message=request["message"], from_=maker.origin, to=other.origin, client=CLIENT, service=SERVICE,
            request=f"{hash_text(leaf_hash(request.data))} {place}", time=self.now, **fields,
        )  # fmt: skip

    def tail(self, kind: str, head: Record, place: int, size: int, outcome: str = "complete") -> Record:
        """The end of a streamed body."""
        return format_record(
            kind, message=head["message"], from_=head["from"], to=head["to"],
            head=f"{hash_text(leaf_hash(head.data))} {place}", time=self.now, size=size, body=_HASH, outcome=outcome,
        )  # fmt: skip

    def answered(
        self, *, status: int = 200, size: int = 10, took: int = 5, lost: bool = False, method: str = "GET"
    ) -> Record:
        """A whole exchange; with `lost` the answer never reaches the consumer, who records that."""
        request, place = self.request(method=method)
        self.tick(took)
        response = self.bound("response", request, place, status=status, size=size, headers=_HASH, body=_HASH)
        self.provider.append(response.data, self.now)
        if lost:
            self.unanswered(request, place)
        else:
            self.consumer.append(response.data, self.tick())
        return response

    def refused(self, code: str = "access-right.missing") -> None:
        request, place = self.request()
        refused = self.bound("refused", request, place, code=code)
        self.provider.append(refused.data, self.tick())
        self.consumer.append(refused.data, self.tick())

    def unanswered(self, request: Record | None = None, place: int = 0, code: str = "peer.lost") -> None:
        """No answer is recorded; without a request, to one that never arrived."""
        if request is None:
            request, place = self.request(arrives=False)
        record = self.bound("no-answer", request, place, code=code)
        self.consumer.append(record.data, self.tick())

    def streamed(self, size: int = 5_000_000, outcome: str = "complete") -> None:
        """An exchange whose answer streams."""
        request, place = self.request()
        head = self.bound("response", request, place, status=200, size="-", headers=_HASH, body="-")
        at = self.provider.append(head.data, self.tick())
        self.consumer.append(head.data, self.tick())
        tail = self.tail("response-tail", head, at, size, outcome)
        self.provider.append(tail.data, self.tick(50))
        self.consumer.append(tail.data, self.tick())

    def later(self, milliseconds: int = 3_600_000) -> None:
        """Time goes by, and both logs get a leaf that says so."""
        self.tick(milliseconds)
        for log in self.logs:
            log.append(b"foreign", self.now)


class Hub:
    """A centre in a folder, that knows these logs; `send` and `ask` are a node that calls it."""

    def __init__(self, directory: Path, *logs: WrittenLog, **options) -> None:
        owners = {log.origin: (CONSUMER if log.number == 1 else PROVIDER, log.keys) for log in logs}
        self.engine = open_database(_database(directory), METADATA)
        self.store = OperationalStore(self.engine, directory / "rows")
        self.deliveries = Deliveries(
            store=self.store, owner=_owner(owners), policy=POLICY, clock=ManualClock(START), **options
        )  # fmt: skip

        self._caller = Caller(hub_app(self.deliveries))
        self.sent: list[tuple[int, int]] = []

    def deliver(self, delivery: Delivery) -> tuple[str, Held]:
        """A delivery as the node of the log's owner brings it."""
        manifest = delivery.manifest
        answer = self.post(b"".join(delivery.body()), manifest.origin)
        if answer.status_code == 409:
            raise Conflict("operational.elsewhere", answer.text)
        assert answer.status_code == 200, answer.text
        self.sent.append((manifest.start, manifest.stop))
        return f"message-{len(self.sent)}", msgspec.json.decode(answer.content, type=Held)

    def held(self, origin: str) -> Held:
        """What the centre says that it holds."""
        return msgspec.json.decode(self.get(f"/held?origin={origin}", origin).content, type=Held)

    def post(self, body: bytes, origin: str, client: str = "") -> Answer:
        """Any body, as somebody (the log's owner)."""
        return self._caller.post("/deliveries", content=body, headers={"x-road-client": client or _client(origin)})

    def get(self, path: str, origin: str) -> Answer:
        """A question of the owner of that log."""
        return self._caller.get(path, {"x-road-client": _client(origin)})

    def codes(self) -> list[str]:
        """The codes of what was found."""
        return sorted(kept.finding.code for kept in self.store.findings())

    def close(self) -> None:
        self.engine.dispose()


def _client(origin: str) -> str:
    return CLIENT if origin.endswith("1") else SERVICE.rpartition("/")[0]


def _database(directory: Path) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    return database_at(directory / "hub.db")


def _owner(owners: dict[str, tuple[MemberId, tuple[VerifierKey, ...]]]) -> Callable[[str], LogOwner | None]:
    def owner(origin: str) -> LogOwner | None:
        if origin not in owners:
            return None
        member, keys = owners[origin]
        return LogOwner(member=member, members=frozenset({member}), keys=keys)

    return owner

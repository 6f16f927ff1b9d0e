"""A node's operational data: rows from its logs between two witnessed sizes, in Parquet, delivered as an exchange.

It runs beside the node, in a process of its own, and reads the log like any auditor: the data plane does nothing for
it. What the centre has acknowledged is kept in small files; what is in flight is prepared once and sent again as it
is. The log is the truth: all that lies here can be made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from qaztech.core.errors import Conflict, Error, Malformed, Unavailable, Untrusted
from qaztech.core.record import hash_text
from qaztech.core.time import Clock
from qaztech.evidence.storage import OsStorage, Storage
from qaztech.evidence.view import LogView
from qaztech.node.journal import WITNESSED
from qaztech.node.operational_manifest import (
    FORMAT,
    MAX_PARTS,
    Manifest,
    Part,
    date_of,
    format_manifest,
    log_name,
    parse_manifest,
)
from qaztech.node.operational_parquet import file_facts, write_part
from qaztech.node.operational_rows import DAY, Row, day_of, rows
from qaztech.node.renewal import CLOSED_LOGS
from qaztech.registry.files import replace_file
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.operational")

FOLDER: Final = "operational"
DELIVERIES: Final = "deliveries"
# Leaves of one delivery, as long as the witnessed sizes allow it.
MOST_LEAVES: Final = 50_000
# How long (milliseconds) leaves that tell of nothing but deliveries may wait for others, and how many may.
LONGEST_WAIT: Final = 3_600_000
_FEW: Final = 200


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the centre says that it holds of a log: so many leaves, under this root (base64)."""

    origin: str
    size: int
    root: str


class Delivered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A delivery that the centre has acknowledged: the message that brought it, and when (milliseconds)."""

    origin: str
    start: int
    stop: int
    kinds: dict[str, int]
    message: str
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery that is ready to leave: its manifest, and the files of its parts in their order."""

    manifest: Manifest
    files: tuple[Path, ...]

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(format_manifest(self.manifest)) + self.manifest.length

    def body(self) -> Iterator[bytes]:
        """The body: the manifest's line, then the files."""
        yield format_manifest(self.manifest)
        for path in self.files:
            with path.open("rb") as file:
                while piece := file.read(1 << 18):
                    yield piece


class Centre(Protocol):
    """The centre, as it is reached through this node's edge."""

    def deliver(self, delivery: Delivery) -> tuple[str, Held]:
        """Bring a delivery; gives the message id and what the centre then holds.

        Raises `Conflict` where it holds something else than the delivery begins with, others where it took nothing.
        """
        ...

    def held(self, origin: str) -> Held:
        """What the centre holds of a log."""
        ...


class OperationalData:
    """Operational data of one node. One process at a time: hold `lock` while writing.

    `quiet` is the centre's service, if deliveries to it need not be delivered at once for their own sake.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        storage: Storage | None = None,
        most: int = MOST_LEAVES,
        keep_days: int = 0,
        quiet: str = "",
    ) -> None:
        self._node = directory
        self._directory = directory / FOLDER
        self._clock = clock
        self._storage = storage or OsStorage()
        self._most = most
        self._keep_days = keep_days
        self._quiet = quiet

    def lock(self) -> int:
        """Keep other processes out until the handle is closed. Raises `Conflict` where one is in."""
        self._directory.mkdir(exist_ok=True)
        try:
            return self._storage.lock(self._directory)
        except BlockingIOError as exc:
            raise Conflict("operational.busy", "another process delivers this node's operational data") from exc

    def delivered(self) -> list[Delivered]:
        """What was delivered and acknowledged, the latest last."""
        files = sorted((self._directory / DELIVERIES).glob("*.done"))
        found = [msgspec.json.decode(path.read_bytes(), type=Delivered) for path in files]
        return sorted(found, key=lambda each: (each.time, each.stop))

    def deliver(self, centre: Centre) -> list[Delivered]:
        """Bring the centre all that is witnessed and that it does not hold yet, of each log; gives what was brought."""
        logs = [*sorted((self._node / CLOSED_LOGS).glob("*/log")), self._node / "log"]
        done: list[Delivered] = []
        for directory in logs:
            with LogView.open_read_only(directory, storage=self._storage) as view:
                done += self._deliver_log(view, centre)
                if self._keep_days:
                    self._forget(view.origin)
        return done

    def prepare(self, view: LogView, start: int) -> Delivery | None:
        """The delivery that begins at `start`, which is 0 or a witnessed size; None while nothing more is witnessed.

        One that was prepared before is taken as it is, so what is sent twice is the same.
        """
        waiting = self._prepared(view.origin, start)
        if waiting is not None:
            return waiting
        chosen = choose(view, start, self._most)
        if chosen is None or self._waits(view, start, chosen[2]):
            return None
        before, after, stop = chosen
        self._tidy(view.origin, start)
        parts, files, kinds = self._parts(view, start, stop)
        manifest = Manifest(
            format=FORMAT, origin=view.origin, start=start, stop=stop, before=before.decode(), after=after.decode(),
            kinds=dict(sorted(kinds.items())), parts=parts,
        )  # fmt: skip
        self._place(view.origin, start).parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._place(view.origin, start), format_manifest(manifest))
        return Delivery(manifest=manifest, files=tuple(files))

    def _waits(self, view: LogView, start: int, stop: int) -> bool:
        """Whether there is nothing to tell but earlier deliveries: each would only give rise to the next, for ever."""
        if not self._quiet or stop - start > _FEW or not start:
            return False
        if self._clock.now() - view.rows(start, start + 1)[0].time > LONGEST_WAIT:
            return False
        return _are_deliveries(rows(view, start, stop), self._quiet)

    # One log ---------------------------------------------------------------------------------------------------------

    def _deliver_log(self, view: LogView, centre: Centre) -> list[Delivered]:
        start = self._acknowledged(view.origin)
        if start is None:
            start = _follow(view, centre.held(view.origin))
        done: list[Delivered] = []
        asked = False
        while (delivery := self.prepare(view, start)) is not None:
            try:
                message, held = centre.deliver(delivery)
            except Conflict:
                if asked:
                    raise
                # The centre has more, or less, than it had acknowledged here: it says where to go on.
                asked, start = True, _follow(view, centre.held(view.origin))
                continue
            manifest = delivery.manifest
            if _follow(view, held) < manifest.stop:
                raise Untrusted("operational.answer", "the centre acknowledged another delivery", at="service")
            done.append(self._acknowledge(manifest, message))
            start = manifest.stop
        return done

    def _acknowledge(self, manifest: Manifest, message: str) -> Delivered:
        delivered = Delivered(
            origin=manifest.origin, start=manifest.start, stop=manifest.stop, kinds=manifest.kinds, message=message,
            time=self._clock.now(),
        )  # fmt: skip
        replace_file(
            self._place(manifest.origin, manifest.start).with_suffix(".done"), msgspec.json.encode(delivered) + b"\n"
        )
        return delivered

    def _acknowledged(self, origin: str) -> int | None:
        """Up to where the centre has acknowledged this log; None where it never has."""
        names = sorted((self._directory / DELIVERIES).glob(f"{log_name(origin)}-*.done"))
        if not names:
            return None
        return msgspec.json.decode(names[-1].read_bytes(), type=Delivered).stop

    def _place(self, origin: str, start: int) -> Path:
        return self._directory / DELIVERIES / f"{log_name(origin)}-{start:016d}.json"

    def _prepared(self, origin: str, start: int) -> Delivery | None:
        try:
            manifest = parse_manifest(self._place(origin, start).read_bytes())
        except (FileNotFoundError, Malformed):
            return None
        files = [self._directory / part.name(origin) for part in manifest.parts]
        whole = all(
            file.exists() and file_facts(file) == (part.length, part.sha256)
            for file, part in zip(files, manifest.parts, strict=True)
        )
        return Delivery(manifest=manifest, files=tuple(files)) if whole and manifest.origin == origin else None

    def _forget(self, origin: str) -> None:
        """Remove the files of days that are past, as far as they were delivered."""
        first = date_of(max(0, day_of(self._clock.now()) - self._keep_days))
        delivered = self._acknowledged(origin) or 0
        for path in self._directory.glob(f"date=*/part-{log_name(origin)}-*.parquet"):
            if path.parent.name.removeprefix("date=") < first and int(path.name.rsplit("-", 2)[1]) < delivered:
                path.unlink()

    def _tidy(self, origin: str, start: int) -> None:
        """Remove the files from `start` on: what an attempt that was cut short has left would be counted twice."""
        for path in self._directory.glob(f"date=*/part-{log_name(origin)}-*.parquet"):
            if int(path.name.rsplit("-", 2)[1]) >= start:
                path.unlink()

    def _parts(self, view: LogView, start: int, stop: int) -> tuple[list[Part], list[Path], dict[str, int]]:
        """Write the rows, one file for each day."""
        parts: list[Part] = []
        files: list[Path] = []
        total: dict[str, int] = {}
        at = start
        while at < stop:
            day = day_of(view.rows(at, at + 1)[0].time)
            end = min(stop, view.index_at((day + 1) * DAY))
            bare = Part(date=date_of(day), start=at, stop=end, length=0, sha256="")
            path = self._directory / bare.name(view.origin)
            for kind, count in write_part(path, rows(view, at, end)).items():
                total[kind] = total.get(kind, 0) + count
            length, digest = file_facts(path)
            parts.append(msgspec.structs.replace(bare, length=length, sha256=digest))
            files.append(path)
            at = end
        return parts, files, total


def _are_deliveries(leaves: Iterable[Row], service: str) -> bool:
    """Whether all these leaves are of deliveries to this service, by whichever side, tails of their bodies included."""
    heads = set()
    for row in leaves:
        if row.service == service and (row.kind != "request" or row.method == "POST"):
            heads.add(row.leaf)
        elif row.bound_leaf not in heads:
            return False
    return True


def choose(view: LogView, start: int, most: int) -> tuple[bytes, bytes, int] | None:
    """The witnessed checkpoints that the next delivery stands between, and where it stops; None if there is none yet.

    It stops at the largest witnessed size within `most` leaves; where witnesses were away for longer, at the next one.
    """
    before = b""
    if start:
        place = view.first_note_at_or_above(WITNESSED, start)
        key, before = view.read_note(WITNESSED, place) if place < view.note_count(WITNESSED) else (-1, b"")
        if key != start:
            raise Malformed("operational.start", f"the log was not witnessed at {start} entries", at="log")
    last = view.first_note_at_or_above(WITNESSED, start + most + 1) - 1
    first = view.first_note_at_or_above(WITNESSED, start + 1)
    last = max(first, last)
    if last >= view.note_count(WITNESSED):
        return None
    stop, after = view.read_note(WITNESSED, last)
    if stop > view.size:  # the note is read with a batch that this look at the log ends before
        return None
    return _within_days(view, start, first, (before, after, stop))


def _within_days(view: LogView, start: int, first: int, chosen: tuple[bytes, bytes, int]) -> tuple[bytes, bytes, int]:
    """Cut a delivery that touches too many days to the last witnessed size that does not."""
    before, _, stop = chosen
    limit = (day_of(view.rows(start, start + 1)[0].time) + MAX_PARTS) * DAY
    fits = view.index_at(limit)
    if stop <= fits:
        return chosen
    place = max(first, view.first_note_at_or_above(WITNESSED, fits + 1) - 1)
    stop, after = view.read_note(WITNESSED, place)
    return before, after, stop


def _follow(view: LogView, held: Held) -> int:
    """Where to go on from what the centre holds. Raises `Untrusted` where that is not of this log's history."""
    if held.origin != view.origin or held.size < 0:
        raise Untrusted("operational.answer", "the centre answered about another log", at="service")
    if held.size > view.size or held.root != hash_text(view.root_at(held.size)):
        raise Untrusted(
            "operational.contradicted",
            f"the centre holds another history of {view.origin} than this log ({held.size} leaves there)",
            at="service",
        )
    return held.size


async def deliver_rounds(
    data: OperationalData,
    centre: Centre,
    every_seconds: float,
    stop: asyncio.Event,
    *,
    turn: asyncio.Lock | None = None,
) -> None:
    """Deliver every so many seconds until told to stop; a round that failed is made up for by the next.

    Those that share a `turn` go one after another, so that many nodes in one process need no more memory than one.
    """
    turn = turn or asyncio.Lock()
    while not stop.is_set():
        try:
            async with turn:
                delivered = await asyncio.to_thread(data.deliver, centre)
            for done in delivered:
                fields = {"origin": done.origin, "start": done.start, "stop": done.stop, "message": done.message}
                logger.info("delivered", extra={"fields": fields})
        except Error as exc:
            log_error(logger, "operational data was not delivered", exc)
        except OSError as exc:
            failed = Unavailable("operational.store", "the disk does not take it", context=repr(exc))
            log_error(logger, "operational data was not delivered", failed)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await stop.wait()


def lower_priority() -> None:
    """Let everything else on the machine go first."""
    os.nice(10)

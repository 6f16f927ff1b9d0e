"""The witness: cosigns a log's checkpoint if it continues the one cosigned before (C2SP tlog-witness).

`judge` is the pure decision, `Witness` the protocol without HTTP, `SqliteWitnessStore` what it
remembers: for each log the latest checkpoint, stored durably before a cosignature leaves, and proofs of forks. Times
never run backwards for a log, whatever the clock does. Not here: the HTTP server and who may reach it.
"""

from __future__ import annotations

import sqlite3
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from qaztech.core.errors import Malformed, Unavailable, Untrusted
from qaztech.core.time import Clock
from qaztech.evidence.checkpoint import SignedCheckpoint, parse_size
from qaztech.evidence.cosignature import Cosigner, verify_log
from qaztech.evidence.merkle import EMPTY_ROOT, HASH_SIZE, verify_consistency
from qaztech.evidence.note import MAX_NOTE_BYTES, Note, VerifierKey, format_note, parse_base64

MAX_HASHES: Final = 63
MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 4096
MAX_FORKS: Final = 16
TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest checkpoint of a log that the witness cosigned, the log's signed note, and when (seconds)."""

    origin: str
    size: int
    root: bytes
    note: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Two notes by one log, both with its valid signature, that name different roots for one size."""

    origin: str
    size: int
    first: bytes
    second: bytes
    time: int


class WitnessStore(Protocol):
    """What a witness must never forget; each method is atomic, and durable when it returns."""

    def seen(self, origin: str) -> Seen | None:
        """The latest checkpoint cosigned for this log."""
        ...

    def replace(self, old: Seen | None, new: Seen) -> bool:
        """Store `new` if `old` is what is stored for that origin; otherwise change nothing and return False."""
        ...

    def add_fork(self, fork: Fork) -> None:
        """Keep a proof of a fork; one already kept is not doubled."""
        ...

    def all_seen(self) -> list[Seen]:
        """The latest checkpoint of every log."""
        ...

    def origins(self) -> list[str]:
        """Every log of which something was cosigned."""
        ...

    def forks(self) -> list[Fork]:
        """Every proof of a fork."""
        ...


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """An HTTP answer: status, content type, body."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign: the size that was cosigned last, the consistency proof from it, and a checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: SignedCheckpoint

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """The request in this body."""
        head, blank, note = body.partition(b"\n\n")
        if len(body) > MAX_REQUEST_BYTES or not blank:
            raise Malformed("witness.request", "no empty line before the checkpoint, or too long", at="log")
        try:
            old, *hashes = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise Malformed("witness.request", "characters that no request has", at="log") from error
        if not old.startswith("old "):
            raise Malformed("witness.request", "the old size is missing", at="log")
        size = parse_size(old.removeprefix("old "), "witness.request")
        proof = tuple(parse_base64(line, "witness.request") for line in hashes)
        if len(proof) > MAX_HASHES or any(len(value) != HASH_SIZE for value in proof):
            raise Malformed("witness.request", f"at most {MAX_HASHES} SHA-256 hashes", at="log")
        return cls(size, proof, SignedCheckpoint.parse(note))


def format_add_checkpoint(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of an `add-checkpoint` request."""
    return b"".join([b"old %d\n" % old_size, *(b64encode(value) + b"\n" for value in proof), b"\n", note])


def checkpoint_path(origin: str) -> str:
    """Where, below its URL, a witness shows what it has seen of a log (tlog-witness, monitor retrieval)."""
    return f"{sha256(origin.encode()).hexdigest()}/checkpoint"


def judge(request: AddCheckpoint, seen: Seen | None) -> WitnessAnswer | None:
    """The refusal this request deserves against what was cosigned before, or None if it may be cosigned."""
    size, root = (seen.size, seen.root) if seen else (0, EMPTY_ROOT)
    checkpoint = request.checkpoint
    if request.old_size > checkpoint.size:
        return _refusal(400, "the old size is larger than the checkpoint")
    if request.old_size != size:
        return WitnessAnswer(409, SIZE, b"%d\n" % size)
    if checkpoint.size == size and checkpoint.root != root:
        return _refusal(409, "another root was seen at this size")
    try:
        verify_consistency(size, root, checkpoint.size, checkpoint.root, request.proof)
    except Untrusted as error:
        return _refusal(422, error.detail)
    return None


class Witness:
    """One witness. Any number of threads may call it, and several processes may share the store's file."""

    def __init__(
        self,
        *,
        store: WitnessStore,
        keys: Cosigner,
        log_keys: Callable[[str], Sequence[VerifierKey]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._log_keys = log_keys
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Cosign the checkpoint in the request, or refuse with the status the protocol names."""
        try:
            request = AddCheckpoint.parse(body)
        except Malformed as error:
            return _refusal(400, error.detail)
        signed = request.checkpoint
        keys = self._log_keys(signed.origin)
        if not keys:
            return _refusal(404, "this log is not known here")
        try:
            verify_log(signed, keys)
        except Untrusted as error:
            return _refusal(403, error.detail)
        own = [line for line in signed.note.signatures if any(key.made(line) for key in keys)]
        note = format_note(Note(signed.note.text, tuple(own)))  # what others wrote under it is not ours to keep
        while True:  # ends: it repeats only when another request for the same log was stored meanwhile
            seen = self._store.seen(signed.origin)
            if seen and signed.size == seen.size and signed.root != seen.root:
                self._store.add_fork(Fork(signed.origin, signed.size, seen.note, note, self._clock.now() // 1000))
            refusal = judge(request, seen)
            if refusal is not None:
                return refusal
            time = max(self._clock.now() // 1000, seen.time if seen else 0)
            new = Seen(signed.origin, signed.size, signed.root, note, time)
            if self._store.replace(seen, new):
                lines = self._keys.cosign(signed, time)
                return WitnessAnswer(200, TEXT, b"".join([line.format() for line in lines]))

    def seen(self, origin: str) -> Seen | None:
        """What this witness has seen of a log: its latest cosigned checkpoint."""
        return self._store.seen(origin)

    def checkpoint(self, path: str) -> WitnessAnswer:
        """What it has seen of a log, as anyone may ask it: `path` is that of `checkpoint_path`.

        The checkpoint cosigned last, under the log's own lines and the cosignature given then.
        """
        origin = next((o for o in self._store.origins() if checkpoint_path(o) == path), None)
        seen = self._store.seen(origin) if origin is not None else None
        if seen is None:
            return _refusal(404, "of this log nothing was cosigned here")
        signed = SignedCheckpoint.parse(seen.note)
        lines = (*signed.note.signatures, *self._keys.cosign(signed, seen.time))
        return WitnessAnswer(200, TEXT, format_note(Note(signed.note.text, lines)))

    def all_seen(self) -> list[Seen]:
        """What it has seen of every log."""
        return self._store.all_seen()

    def forks(self) -> list[Fork]:
        """The proofs of forks it holds."""
        return self._store.forks()


class SqliteWitnessStore:
    """The witness's memory in one SQLite file: write-ahead log, every commit synced."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        with _storage_errors():
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._database.execute("PRAGMA journal_mode = WAL").fetchall()
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def seen(self, origin: str) -> Seen | None:
        """The latest checkpoint cosigned for this log."""
        rows = self._run("SELECT origin, size, root, note, time FROM seen WHERE origin = ?", origin)
        return Seen(*rows[0]) if rows else None

    def replace(self, old: Seen | None, new: Seen) -> bool:
        """Store `new` if `old` is what is stored; one statement, hence atomic between threads and processes."""
        row = (new.origin, new.size, new.root, new.note, new.time)
        if old is None:
            changed = self._run("INSERT INTO seen VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1", *row)
        else:
            changed = self._run(
                "UPDATE seen SET size = ?, root = ?, note = ?, time = ?"
                " WHERE origin = ? AND size = ? AND root = ? AND time = ? RETURNING 1",
                *row[1:],
                *(old.origin, old.size, old.root, old.time),
            )
        return bool(changed)

    def add_fork(self, fork: Fork) -> None:
        """Keep a proof of a fork: one for each pair of notes, and no more for a log than anyone needs."""
        self._run(
            "INSERT INTO forks SELECT ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM forks WHERE origin = ?) < ?"
            " ON CONFLICT DO NOTHING",
            *(fork.origin, fork.size, fork.first, fork.second, fork.time, fork.origin, MAX_FORKS),
        )

    def all_seen(self) -> list[Seen]:
        """The latest checkpoint of every log."""
        return [Seen(*row) for row in self._run("SELECT origin, size, root, note, time FROM seen ORDER BY origin")]

    def origins(self) -> list[str]:
        """Every log of which something was cosigned."""
        with self._lock, _storage_errors():
            return [origin for (origin,) in self._database.execute("SELECT origin FROM seen")]

    def forks(self) -> list[Fork]:
        """Every proof of a fork, oldest first."""
        rows = self._run("SELECT origin, size, first, second, time FROM forks ORDER BY time, origin, size")
        return [Fork(*row) for row in rows]

    def _run(self, statement: str, *values: str | int | bytes) -> list[tuple[str, int, bytes, bytes, int]]:
        with self._lock, _storage_errors():
            return self._database.execute(statement, values).fetchall()


_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seen (
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, time INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forks (
  origin TEXT NOT NULL, size INTEGER NOT NULL, first BLOB NOT NULL, second BLOB NOT NULL, time INTEGER NOT NULL,
  UNIQUE (origin, first, second)
);
"""


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(
            "witness.store", "the witness cannot reach its memory", at="log", context=str(error)
        ) from error


def _refusal(status: int, why: str) -> WitnessAnswer:
    return WitnessAnswer(status, TEXT, f"{why}\n".encode())

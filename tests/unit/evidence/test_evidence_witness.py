"""The witness: every status of the protocol, durability, races, proofs of forks."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qaztech.core.errors import Unavailable
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import Cosigner, accept_cosignatures, cosign_ml_dsa_44, verify_cosignature
from qaztech.evidence.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, node_hash, root_of
from qaztech.evidence.note import (
    ED25519,
    ML_DSA_44,
    SignatureLine,
    VerifierKey,
    format_note,
    parse_note,
    parse_signature_lines,
)
from qaztech.evidence.witness import (
    MAX_FORKS,
    MAX_REQUEST_BYTES,
    Seen,
    SqliteWitnessStore,
    Witness,
    WitnessAnswer,
    format_add_checkpoint,
)
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
LOG = Ed25519Key.from_seed(b"\1" * 32)
LOG_KEYS = [VerifierKey.of(ORIGIN, ED25519, LOG.public)]
LOG_PQ = MlDsa44Key.from_seed(b"\2" * 32)
COSIGNER = Cosigner(name="w.example", ed25519=Ed25519Key.from_seed(b"\3" * 32))
HYBRID = Cosigner(name="w.example", ed25519=COSIGNER.ed25519, ml_dsa_44=MlDsa44Key.from_seed(b"\4" * 32))
SIZE_TYPE = "text/x.tlog.size"


def stored(level: int, index: int) -> bytes:
    if level == 0:
        return leaf_hash(b"%d" % index)
    return node_hash(stored(level - 1, 2 * index), stored(level - 1, 2 * index + 1))


def head(size: int, root: bytes | None = None, key: Ed25519Key = LOG, origin: str = ORIGIN) -> bytes:
    return sign_checkpoint(origin, size, root_of(size, stored) if root is None else root, key)


def request(old: int, size: int, note: bytes | None = None, *, claim: int | None = None) -> bytes:
    """A request that proves `size` from `old`, and says `claim` (else `old`) as the old size."""
    proof = consistency_proof(min(old, size), size, stored)
    return format_add_checkpoint(old if claim is None else claim, proof, note or head(size))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteWitnessStore]:
    with closing(SqliteWitnessStore(tmp_path / "witness.db")) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000_000)


def build(store: SqliteWitnessStore, clock: ManualClock, keys: Cosigner = COSIGNER, log_keys=None) -> Witness:
    known = {ORIGIN: LOG_KEYS if log_keys is None else log_keys}
    return Witness(store=store, keys=keys, log_keys=lambda origin: known.get(origin, ()), clock=clock)


@pytest.fixture
def witness(store: SqliteWitnessStore, clock: ManualClock) -> Witness:
    return build(store, clock)


def times(answer: WitnessAnswer, note: bytes, keys=COSIGNER.verifier_keys) -> list[int]:
    assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
    signed = SignedCheckpoint.parse(note)
    lines = parse_signature_lines(answer.body)
    assert len(lines) == len(keys)
    assert accept_cosignatures(signed, answer.body, keys) == lines
    return [verify_cosignature(line, key, signed) for line, key in zip(lines, keys, strict=True)]


def test_a_log_is_witnessed_as_it_grows(witness: Witness, clock: ManualClock) -> None:
    """First at any size, then each continuation with its proof, then the same head again, each with its time."""
    previous = 0
    for size in (3, 4, 8, 21, 21):
        clock.advance(1000)
        assert times(witness.add_checkpoint(request(previous, size)), head(size)) == [clock.now() // 1000]
        previous = size
    seen = witness.seen(ORIGIN)
    assert seen == Seen(ORIGIN, 21, root_of(21, stored), head(21), clock.now() // 1000)
    assert witness.all_seen() == [seen]
    assert witness.seen("unknown") is None


def test_an_empty_log_may_be_witnessed(witness: Witness) -> None:
    """Size zero has the empty root and nothing to prove; the log then grows from zero."""
    assert witness.add_checkpoint(request(0, 0)).status == 200
    assert witness.add_checkpoint(request(0, 0)).status == 200
    assert witness.add_checkpoint(request(0, 5)).status == 200


def test_a_hybrid_witness_answers_with_both_types(store: SqliteWitnessStore, clock: ManualClock) -> None:
    """With an ML-DSA-44 key the answer has two lines with one time."""
    answer = build(store, clock, HYBRID).add_checkpoint(request(0, 3))
    assert times(answer, head(3), HYBRID.verifier_keys) == [1_800_000_000, 1_800_000_000]


def test_a_malformed_request_is_400(witness: Witness) -> None:
    """What is not a request is a bad request."""
    note = head(3)
    for body in (
        b"",
        b"\n\n",
        note,
        b"old 0\n" + note,
        b"old\n\n" + note,
        b"old 00\n\n" + note,
        b"old -1\n\n" + note,
        b"old 0 \n\n" + note,
        b"OLD 0\n\n" + note,
        b"old %d\n\n" % 2**63 + note,
        b"old 0\nAAAA\n\n" + note,
        b"old 0\n!\n\n" + note,
        b"old 0\n\xff\n\n" + note,
        b"old 0\r\n\r\n" + note,
        b"old 0\n\n" + note[:-1],
        b"old 0\n\nnot a checkpoint\n",
        format_add_checkpoint(0, [bytes(32)] * 64, note),
        b"old 0\n\n" + b"x" * MAX_REQUEST_BYTES,
    ):
        assert witness.add_checkpoint(body).status == 400
    assert witness.seen(ORIGIN) is None


def test_an_old_size_above_the_checkpoint_is_400(witness: Witness) -> None:
    """The old size may not exceed the size, whatever was seen before."""
    assert witness.add_checkpoint(request(0, 3)).status == 200
    assert witness.add_checkpoint(request(2, 2, claim=3)).status == 400


def test_an_unknown_log_is_404(witness: Witness) -> None:
    """An origin nobody told the witness about is not found, whoever signed it."""
    body = format_add_checkpoint(0, [], head(3, origin="kz.qaztech.example/log/unknown"))
    assert witness.add_checkpoint(body).status == 404


def test_a_checkpoint_not_signed_by_its_log_is_403(witness: Witness) -> None:
    """A stranger's signature, and a wrong one, are forbidden; a good one beside a stranger's will do."""
    stranger = Ed25519Key.from_seed(b"\x09" * 32)
    wrong = head(3).replace(b"\n3\n", b"\n4\n")
    for note in (head(3, key=stranger), wrong):
        assert witness.add_checkpoint(format_add_checkpoint(0, [], note)).status == 403
    beside = format_note(parse_note(head(3)).with_signatures(parse_note(head(3, key=stranger)).signatures))
    assert witness.add_checkpoint(format_add_checkpoint(0, [], beside)).status == 200


def test_another_old_size_is_409_with_the_size(witness: Witness) -> None:
    """The answer names the size the witness knows, in the protocol's own type; so does a first question with zero."""
    assert witness.add_checkpoint(request(2, 5)) == WitnessAnswer(409, SIZE_TYPE, b"0\n")
    assert witness.add_checkpoint(request(0, 5)).status == 200
    for body in (request(0, 9), request(4, 9), request(6, 9), request(4, 4), request(0, 5)):
        assert witness.add_checkpoint(body) == WitnessAnswer(409, SIZE_TYPE, b"5\n")
    assert witness.add_checkpoint(request(5, 9)).status == 200


def test_a_proof_that_does_not_hold_is_422(witness: Witness) -> None:
    """A missing, wrong or superfluous proof, or a root that does not continue, is not cosigned."""
    assert witness.add_checkpoint(format_add_checkpoint(0, [bytes(32)], head(5))).status == 422
    assert witness.add_checkpoint(request(0, 5)).status == 200
    proof = consistency_proof(5, 9, stored)
    for wrong, note in (
        ([], head(9)),
        (proof[:-1], head(9)),
        ([*proof, bytes(32)], head(9)),
        ([bytes(32), *proof[1:]], head(9)),
        (proof, head(9, root=bytes(32))),
    ):
        assert witness.add_checkpoint(format_add_checkpoint(5, wrong, note)).status == 422
    assert witness.add_checkpoint(format_add_checkpoint(5, [bytes(32)], head(5))).status == 422
    seen = witness.seen(ORIGIN)
    assert seen is not None
    assert seen.size == 5


def test_two_roots_at_one_size_are_409_and_kept_as_proof(store: SqliteWitnessStore, clock: ManualClock) -> None:
    """A fork is refused, and both signed notes are kept durably, once, whatever old size came with it."""
    witness = build(store, clock)
    assert witness.add_checkpoint(request(0, 5)).status == 200
    forked = head(5, root=bytes(32))
    clock.advance(5000)
    answer = witness.add_checkpoint(format_add_checkpoint(5, [], forked))
    assert (answer.status, answer.content_type) == (409, "text/plain; charset=utf-8")
    for claim in (5, 0, 3):
        assert witness.add_checkpoint(format_add_checkpoint(claim, [], forked)).status == 409
    (fork,) = witness.forks()
    assert (fork.origin, fork.size, fork.first, fork.second) == (ORIGIN, 5, head(5), forked)
    assert fork.time == clock.now() // 1000
    for note in (fork.first, fork.second):
        assert SignedCheckpoint.parse(note).verify(LOG_KEYS).size == 5
    seen = witness.seen(ORIGIN)
    assert seen is not None
    assert seen.note == head(5)


def test_an_unsigned_fork_is_no_proof(witness: Witness) -> None:
    """A conflicting checkpoint that the log did not sign is refused and not kept."""
    assert witness.add_checkpoint(request(0, 5)).status == 200
    forged = head(5, root=bytes(32), key=Ed25519Key.from_seed(b"\x09" * 32))
    assert witness.add_checkpoint(format_add_checkpoint(5, [], forged)).status == 403
    assert witness.forks() == []


def test_proofs_of_forks_are_limited(witness: Witness) -> None:
    """A log that forks without end does not fill the witness's disk."""
    assert witness.add_checkpoint(request(0, 5)).status == 200
    for number in range(MAX_FORKS + 4):
        forked = head(5, root=bytes([number]) * 32)
        assert witness.add_checkpoint(format_add_checkpoint(5, [], forked)).status == 409
    assert len(witness.forks()) == MAX_FORKS


def test_size_zero_with_another_root_is_refused(witness: Witness) -> None:
    """There is one empty tree."""
    assert witness.add_checkpoint(format_add_checkpoint(0, [], head(0, root=bytes(32)))).status == 409
    assert witness.add_checkpoint(format_add_checkpoint(0, [], head(0, root=EMPTY_ROOT))).status == 200


def test_what_others_wrote_under_a_note_is_not_kept(witness: Witness) -> None:
    """Only the log's own lines are stored, so nobody else can grow the witness's memory."""
    noted = format_note(parse_note(head(5)).with_signatures([SignatureLine("stranger", b"1234", b"x" * 9999)]))
    assert witness.add_checkpoint(format_add_checkpoint(0, [], noted)).status == 200
    seen = witness.seen(ORIGIN)
    assert seen is not None
    assert seen.note == head(5)


def test_a_hybrid_log_must_sign_with_both_keys(store: SqliteWitnessStore, clock: ManualClock) -> None:
    """Where the log's ML-DSA-44 key is in force a checkpoint with Ed25519 alone is forbidden."""
    keys = [*LOG_KEYS, VerifierKey.of(ORIGIN, ML_DSA_44, LOG_PQ.public)]
    witness = build(store, clock, log_keys=keys)
    assert witness.add_checkpoint(request(0, 5)).status == 403
    line = cosign_ml_dsa_44(SignedCheckpoint.parse(head(5)), ORIGIN, LOG_PQ, 1)
    hybrid = format_note(parse_note(head(5)).with_signatures([line]))
    assert witness.add_checkpoint(format_add_checkpoint(0, [], hybrid)).status == 200
    seen = witness.seen(ORIGIN)
    assert seen is not None
    assert seen.note == hybrid


def test_the_memory_survives_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    """After a restart the witness knows what it saw, keeps its forks, and its times do not run backwards."""
    path = tmp_path / "witness.db"
    with closing(SqliteWitnessStore(path)) as store:
        witness = build(store, clock)
        assert witness.add_checkpoint(request(0, 5)).status == 200
        witness.add_checkpoint(format_add_checkpoint(5, [], head(5, root=bytes(32))))
    clock.advance(-60_000)
    with closing(SqliteWitnessStore(path)) as store:
        witness = build(store, clock)
        assert len(witness.forks()) == 1
        assert witness.add_checkpoint(request(0, 9)) == WitnessAnswer(409, SIZE_TYPE, b"5\n")
        assert times(witness.add_checkpoint(request(5, 9)), head(9)) == [1_800_000_000]


def test_it_is_stored_before_it_is_signed(tmp_path: Path, clock: ManualClock) -> None:
    """If the memory cannot be written there is no cosignature, only an error."""
    store = SqliteWitnessStore(tmp_path / "witness.db")
    witness = build(store, clock)
    store.close()
    with pytest.raises(Unavailable):
        witness.add_checkpoint(request(0, 5))
    (tmp_path / "not-a-database").write_bytes(b"rubbish" * 1000)
    with pytest.raises(Unavailable):
        SqliteWitnessStore(tmp_path / "not-a-database")


def test_the_file_is_synced_at_every_commit(tmp_path: Path) -> None:
    """The store opens its file with a write-ahead log and full synchronisation."""
    path = tmp_path / "witness.db"
    with closing(SqliteWitnessStore(path)) as store:
        assert store._run("PRAGMA synchronous") == [(2,)]
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class Meddling(SqliteWitnessStore):
    """A store where another request always wins between reading and writing, until it has nothing more to do."""

    def __init__(self, path: Path, meddle: list[Callable[[], object]]) -> None:
        super().__init__(path)
        self._meddle = meddle

    def replace(self, old: Seen | None, new: Seen) -> bool:
        if self._meddle:
            self._meddle.pop()()
        return super().replace(old, new)


def test_a_request_overtaken_by_another_is_judged_again(tmp_path: Path, clock: ManualClock) -> None:
    """The protocol's race: while 5 to 6 is judged, 5 to 9 is stored; the slower one gets 409 and nothing rolls back."""
    path = tmp_path / "witness.db"
    with closing(SqliteWitnessStore(path)) as plain:
        fast = build(plain, clock)
        for first in (True, False):
            old = 0 if first else 9
            meddle: list[Callable[[], object]] = [lambda old=old: fast.add_checkpoint(request(old, old + 9))]
            with closing(Meddling(path, meddle)) as meddling:
                answer = build(meddling, clock).add_checkpoint(request(old, old + 6))
            assert answer == WitnessAnswer(409, SIZE_TYPE, b"%d\n" % (old + 9))
            seen = fast.seen(ORIGIN)
            assert seen is not None
            assert seen.size == old + 9


@pytest.mark.parametrize("shared", [True, False])
def test_racing_threads_never_roll_back(tmp_path: Path, clock: ManualClock, shared: bool) -> None:
    """Two threads, with one store or one each, push two histories: each size is cosigned once, sizes only grow."""
    path = tmp_path / "witness.db"
    first = SqliteWitnessStore(path)
    stores = [first, first if shared else SqliteWitnessStore(path)]
    cosigned: list[list[int]] = [[], []]
    start = threading.Barrier(2)

    def push(number: int) -> None:
        witness = build(stores[number], clock)
        start.wait(20)
        old = 0
        while old < 24:
            answer = witness.add_checkpoint(request(old, old + 1))
            if answer.status == 200:
                cosigned[number].append(old + 1)
                old += 1
            else:
                assert (answer.status, answer.content_type) == (409, SIZE_TYPE)
                assert int(answer.body) > old
                old = int(answer.body)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(cosigned[0] + cosigned[1]) == list(range(1, 25))
    seen = first.seen(ORIGIN)
    assert seen is not None
    assert seen.size == 24
    for store in set(stores):
        store.close()

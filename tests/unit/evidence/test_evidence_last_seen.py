"""What witnesses have seen of a log: shown to anyone, believed when log and witness have signed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from qaztech.core.errors import Error, NotFound, Unavailable
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import Cosigner
from qaztech.evidence.last_seen import last_seen
from qaztech.evidence.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, node_hash
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.policy import Policy
from qaztech.evidence.witness import SqliteWitnessStore, Witness, checkpoint_path, format_add_checkpoint
from qaztech.registry.founding import policy_lines, with_quorum
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
LOG = Ed25519Key.from_seed(b"\1" * 32)
KEY = VerifierKey.of(ORIGIN, ED25519, LOG.public)


def stored(level: int, index: int) -> bytes:
    if level == 0:
        return leaf_hash(b"%d" % index)
    return node_hash(stored(level - 1, 2 * index), stored(level - 1, 2 * index + 1))


ROOTS = {1: stored(0, 0), 2: stored(1, 0), 4: stored(2, 0)}


class Witnesses:
    """Three witnesses behind URLs; `down` are those that do not answer, `says` what one says instead."""

    def __init__(self, files: ExitStack) -> None:
        self.clock = ManualClock()
        self.down: set[str] = set()
        self.says: dict[str, bytes] = {}
        self.all: dict[str, Witness] = {}
        lines = []
        for number, name in enumerate(("one", "two", "three")):
            pq = MlDsa44Key.from_seed(bytes([9, number]) * 16) if name == "one" else None
            keys = Cosigner(name=f"w/{name}", ed25519=Ed25519Key.from_seed(bytes([8, number]) * 16), ml_dsa_44=pq)
            store = files.enter_context(closing(SqliteWitnessStore(":memory:")))
            self.all[name] = Witness(store=store, keys=keys, log_keys=lambda _: [KEY], clock=self.clock)
            lines += policy_lines(name, keys.verifier_keys, f"http://{name}/witness/")
        self.policy = Policy.parse(with_quorum("\n".join(lines)).encode())

    def cosign(self, size: int, *names: str, old: int = 0) -> None:
        proof = consistency_proof(old, size, stored) if old else []
        for name in names:
            note = sign_checkpoint(ORIGIN, size, ROOTS[size], LOG)
            assert self.all[name].add_checkpoint(format_add_checkpoint(old, proof, note)).status == 200

    def get(self, url: str) -> bytes:
        name, _, path = url.removeprefix("http://").partition("/witness/")
        if name in self.down:
            raise Unavailable("outbound.unreachable", "down")
        if name in self.says:
            return self.says[name]
        answer = self.all[name].checkpoint(path)
        if answer.status == 404:
            raise NotFound("outbound.missing", "nothing")
        return answer.body


@pytest.fixture
def witnesses() -> Iterator[Witnesses]:
    with ExitStack() as files:
        yield Witnesses(files)


def test_a_witness_shows_what_it_cosigned_and_when(witnesses: Witnesses) -> None:
    """The log's line and the cosignature as it was given, also long after; nothing of a log it does not know."""
    witness = witnesses.all["one"]
    note = sign_checkpoint(ORIGIN, 2, ROOTS[2], LOG)
    given = witness.add_checkpoint(format_add_checkpoint(0, [], note)).body
    witnesses.clock.advance(3_600_000)
    shown = witness.checkpoint(checkpoint_path(ORIGIN))
    assert (shown.status, shown.body.startswith(note)) == (200, True)
    assert given.splitlines()[0] in shown.body.splitlines(), "Ed25519 signs the same twice"
    assert witnesses.policy.witnesses["one"].cosigned_at(SignedCheckpoint.parse(shown.body)) == 1_800_000_000
    assert witness.checkpoint(checkpoint_path("another/log/0123456789abcdef0123")).status == 404
    assert witness.checkpoint("").status == 404


def test_the_largest_checkpoint_counts(witnesses: Witnesses) -> None:
    """Who has seen less has only not been asked since."""
    witnesses.cosign(2, "one", "two")
    witnesses.cosign(4, "two", old=2)
    seen = last_seen(ORIGIN, KEY, witnesses.policy, witnesses.get)
    assert (seen.checkpoint.size, seen.checkpoint.root) == (4, ROOTS[4])
    assert seen.sizes == {"one": 2, "two": 4, "three": 0}
    assert seen.is_enough


def test_enough_must_answer(witnesses: Witnesses) -> None:
    """One of three may be silent, two may not: what they alone have seen would be missed."""
    witnesses.cosign(1, "one", "two")
    witnesses.down = {"three"}
    assert last_seen(ORIGIN, KEY, witnesses.policy, witnesses.get).is_enough
    witnesses.down = {"three", "two"}
    seen = last_seen(ORIGIN, KEY, witnesses.policy, witnesses.get)
    assert not seen.is_enough
    assert seen.failures == {"two": "down", "three": "down"}


def test_a_log_nobody_has_seen(witnesses: Witnesses) -> None:
    """Then it is closed as an empty one."""
    checkpoint = last_seen(ORIGIN, KEY, witnesses.policy, witnesses.get).checkpoint
    assert (checkpoint.size, checkpoint.root) == (0, EMPTY_ROOT)


def test_a_witness_cannot_make_up_a_size(witnesses: Witnesses) -> None:
    """What it shows must be signed by the log and by itself, and be of that log."""
    witnesses.cosign(1, "one", "two", "three")
    honest = witnesses.get(f"http://two/witness/{checkpoint_path(ORIGIN)}")
    cosigner = Cosigner(name="w/three", ed25519=Ed25519Key.from_seed(bytes([8, 2]) * 16))
    other = Ed25519Key.generate()
    for note in (
        sign_checkpoint(ORIGIN, 4, ROOTS[4], other),
        sign_checkpoint("kz.qaztech.example/log/aaaaaaaaaaaaaaaaaaaa", 4, ROOTS[4], LOG),
    ):
        line = cosigner.cosign(SignedCheckpoint.parse(note), 1)[0].format()
        for said in (note, note + line, honest, b"", b"\xff"):
            witnesses.says = {"three": said}
            seen = last_seen(ORIGIN, KEY, witnesses.policy, witnesses.get)
            assert seen.checkpoint.size == 1
            assert set(seen.failures) == {"three"}


def test_a_policy_without_quorum_line_means_more_than_half() -> None:
    """What is written stays; what is not, is filled in; without witnesses there is nothing to wait for."""
    keys = [VerifierKey.of(f"w{n}", 4, bytes([n]) * 32) for n in range(4)]
    lines = "\n".join(f"witness {key.name} {key}" for key in keys)
    policy = Policy.parse(with_quorum(lines).encode())
    assert not policy.satisfied_by(["w0", "w1"])
    assert policy.satisfied_by(["w0", "w1", "w3"])
    chosen = f"{lines}\nquorum w2\n"
    assert with_quorum(chosen) == chosen
    assert Policy.parse(with_quorum("").encode()).satisfied_by([])
    with pytest.raises(Error):
        with_quorum("witness half")

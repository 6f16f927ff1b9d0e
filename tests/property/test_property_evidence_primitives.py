"""Generated tests of the evidence primitives: proofs hold iff true, text forms round-trip, parsers fail in one way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Error, Malformed, Untrusted
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import Cosigner, accept_cosignatures
from qaztech.evidence.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from qaztech.evidence.note import (
    COSIGNATURE_ED25519,
    ED25519,
    ML_DSA_44,
    Note,
    SignatureLine,
    VerifierKey,
    format_note,
    is_key_name,
    parse_note,
    parse_signature_lines,
)
from qaztech.evidence.policy import Policy
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.witness import AddCheckpoint, SqliteWitnessStore, Witness, format_add_checkpoint
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
LOG = Ed25519Key.from_seed(b"\1" * 32)
LOG_KEY = VerifierKey.of(ORIGIN, ED25519, LOG.public)
COSIGNERS = [
    Cosigner(
        name=f"w{number}.example",
        ed25519=Ed25519Key.from_seed(bytes([16 + number]) * 32),
        ml_dsa_44=MlDsa44Key.from_seed(bytes([32 + number]) * 32),
    )
    for number in range(3)
]
TREE = 1 << 12

HASHES = st.binary(min_size=32, max_size=32)
NAMES = st.text(min_size=1, max_size=20).filter(is_key_name)


@cache
def stored(level: int, index: int) -> bytes:
    if level == 0:
        return leaf_hash(b"%d" % index)
    return node_hash(stored(level - 1, 2 * index), stored(level - 1, 2 * index + 1))


@cache
def root(size: int) -> bytes:
    return root_of(size, stored)


def change(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """The proof with something changed: one bit, an element more or less, or an element too short."""
    kinds = ["insert"] + (["flip", "drop", "truncate"] if proof else [])
    kind = data.draw(st.sampled_from(kinds))
    position = data.draw(st.integers(0, max(len(proof) - 1, 0)))
    changed = list(proof)
    if kind == "insert":
        changed.insert(position, data.draw(HASHES))
    elif kind == "flip":
        bit = data.draw(st.integers(0, 255))
        value = bytearray(changed[position])
        value[bit // 8] ^= 1 << bit % 8
        changed[position] = bytes(value)
    elif kind == "drop":
        del changed[position]
    else:
        changed[position] = changed[position][:-1]
    return changed


@given(st.integers(1, TREE), st.data())
def test_an_inclusion_proof_holds_iff_unchanged(size: int, data: st.DataObject) -> None:
    """The proof of any leaf at any size verifies; a changed proof, leaf, index or root does not."""
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, stored)
    leaf = leaf_hash(b"%d" % index)
    verify_inclusion(leaf, index, size, proof, root(size))
    other = data.draw(st.integers(0, size).filter(lambda value: value != index))
    for arguments in (
        (leaf, index, size, change(proof, data), root(size)),
        (leaf, other, size, proof, root(size)),
        (leaf_hash(b"other"), index, size, proof, root(size)),
        (leaf, index, size, proof, data.draw(HASHES)),
    ):
        with pytest.raises(Untrusted):
            verify_inclusion(*arguments)


@given(st.integers(1, TREE), st.data())
def test_a_consistency_proof_holds_iff_unchanged(new: int, data: st.DataObject) -> None:
    """The proof between any two sizes verifies; a changed proof or root does not."""
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, stored)
    verify_consistency(old, root(old), new, root(new), proof)
    for arguments in (
        (old, root(old), new, root(new), change(proof, data)),
        (old, data.draw(HASHES), new, root(new), proof),
        (old, root(old), new, data.draw(HASHES), proof),
    ):
        with pytest.raises(Untrusted):
            verify_consistency(*arguments)


@given(st.lists(HASHES, max_size=12), st.integers(-3, 1 << 64), st.integers(-3, 1 << 64), HASHES)
def test_verifiers_never_fail_otherwise(proof: list[bytes], one: int, two: int, value: bytes) -> None:
    """Whatever sizes and hashes come, the verifiers raise Untrusted or nothing."""
    for call in (
        lambda: verify_inclusion(value, one, two, proof, value),
        lambda: verify_consistency(one, value, two, value, proof),
    ):
        try:
            call()
        except Untrusted:
            pass
        else:
            assert one == two or (one, two, proof) == (0, 1, [])


@given(st.lists(HASHES, max_size=70), st.lists(HASHES, max_size=20))
def test_a_frontier_forgets_nothing_it_needs(first: list[bytes], second: list[bytes]) -> None:
    """Stopping anywhere and continuing from the peaks gives the same tree as never stopping."""
    whole, half = Frontier(), Frontier()
    whole.extend(first + second)
    half.extend(first)
    resumed = Frontier(half.size, half.hashes)
    resumed.extend(second)
    assert (resumed.size, resumed.hashes, resumed.root()) == (whole.size, whole.hashes, whole.root())


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in range(32)]))
LINES = st.builds(SignatureLine, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(LINES, min_size=1, max_size=4))
def test_notes_round_trip(lines: list[str], signatures: list[SignatureLine]) -> None:
    """Every note that can be made is read back as it was."""
    note = Note("".join(line + "\n" for line in lines).encode(), tuple(signatures))
    assert parse_note(format_note(note)) == note


@given(NAMES, st.sampled_from([(ED25519, 32), (COSIGNATURE_ED25519, 32), (ML_DSA_44, 1312)]), st.randoms())
def test_vkeys_round_trip(name: str, kind: tuple[int, int], random) -> None:
    """Every verifier key is read back from its text form."""
    key = VerifierKey.of(name, kind[0], random.randbytes(kind[1]))
    assert VerifierKey.parse(str(key)) == key


@given(st.integers(0, 2**63 - 1), st.lists(HASHES, max_size=63), st.none() | st.binary(), st.binary())
def test_proofs_round_trip(index: int, hashes: list[bytes], extra: bytes | None, checkpoint: bytes) -> None:
    """Every proof is read back, and what is read is written back byte for byte."""
    proof = TlogProof(index=index, hashes=tuple(hashes), checkpoint=checkpoint, extra=extra)
    assert TlogProof.parse(proof.format()) == proof


@given(st.integers(0, 2**63 - 1), st.lists(HASHES, max_size=63))
def test_requests_to_a_witness_round_trip(old: int, proof: list[bytes]) -> None:
    """Every request a log can make is read back by the witness."""
    note = sign_checkpoint(ORIGIN, 7, bytes(32), LOG)
    request = AddCheckpoint.parse(format_add_checkpoint(old, proof, note))
    assert (request.old_size, request.proof, format_note(request.checkpoint.note)) == (old, tuple(proof), note)


def sample_policy() -> str:
    lines = [f"log {LOG_KEY} https://log.example/"]
    for number, cosigner in enumerate(COSIGNERS):
        ed25519, ml_dsa_44 = cosigner.verifier_keys
        lines += [f"witness w{number} {ed25519}", f"witness w{number}.pq {ml_dsa_44}"]
    return "\n".join([*lines, "group g 2 w0 w1 w2", "quorum g", ""])


NOTE = sign_checkpoint(ORIGIN, 7, root(7), LOG)
SIGNED = SignedCheckpoint.parse(NOTE)
WITNESSED = format_note(
    SIGNED.note.with_signatures(line for cosigner in COSIGNERS[:2] for line in cosigner.cosign(SIGNED, 1_800_000_000))
)
PROOF = TlogProof(index=3, hashes=tuple(inclusion_proof(3, 7, stored)), checkpoint=WITNESSED).format()
POLICY = Policy.parse(sample_policy().encode())
SAMPLES: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "note": (parse_note, WITNESSED),
    "lines": (parse_signature_lines, WITNESSED.partition(b"\n\n")[2]),
    "checkpoint": (SignedCheckpoint.parse, NOTE),
    "policy": (Policy.parse, sample_policy().encode()),
    "proof": (TlogProof.parse, PROOF),
    "request": (AddCheckpoint.parse, format_add_checkpoint(3, consistency_proof(3, 7, stored), NOTE)),
    "vkey": (lambda data: VerifierKey.parse(data.decode("utf-8", "surrogateescape")), str(LOG_KEY).encode()),
}


def mutate(sample: bytes, data: st.DataObject) -> bytes:
    """A sample with a few bytes replaced, cut out, doubled or put in."""
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(changed)))
        end = min(len(changed), start + data.draw(st.integers(0, 40)))
        piece = data.draw(
            st.sampled_from([b"", b"\n", b" ", b"\n\n", b"0", b"-1", b"+", b"=", b"\xff", b"\xe2\x80\x94 ", b".pq"])
            | st.binary(max_size=4)
            | st.just(bytes(changed[start:end] * 2))
        )
        changed[start:end] = piece
    return bytes(changed)


@pytest.mark.parametrize("kind", SAMPLES)
@given(st.data())
def test_parsers_raise_malformed_and_nothing_else(kind: str, data: st.DataObject) -> None:
    """Any bytes, and any mutation of good ones, are read or are Malformed."""
    parse, sample = SAMPLES[kind]
    for candidate in (data.draw(st.binary(max_size=200)), mutate(sample, data)):
        with suppress(Malformed):
            parse(candidate)


@given(st.data())
def test_what_is_parsed_has_one_spelling(data: st.DataObject) -> None:
    """A mutated note or proof that is still read is written back exactly as it came."""
    note, proof = mutate(WITNESSED, data), mutate(PROOF, data)
    with suppress(Malformed):
        assert format_note(parse_note(note)) == note
    with suppress(Malformed):
        assert TlogProof.parse(proof).format() == proof


@settings(max_examples=200)
@given(st.data())
def test_a_changed_proof_never_verifies(data: st.DataObject) -> None:
    """No mutation of a witnessed proof verifies as something else than what was proven, and only our errors escape."""
    leaf = leaf_hash(b"3")
    original = TlogProof.parse(PROOF).verify(leaf, POLICY)
    try:
        witnessed = TlogProof.parse(mutate(PROOF, data)).verify(leaf, POLICY)
    except Error:
        return
    assert witnessed == original  # a line by an unknown key, or extra data, may have come in


@given(st.binary(max_size=300))
def test_answers_of_witnesses_raise_our_errors_only(answer: bytes) -> None:
    """Whatever a witness answers, the log's side raises nothing but its own errors."""
    with suppress(Error):
        accept_cosignatures(SIGNED, answer, COSIGNERS[0].verifier_keys)


@given(st.data())
def test_a_witness_answers_everything(data: st.DataObject) -> None:
    """Any request gets one of the protocol's statuses, and never two roots for one size."""
    store = SqliteWitnessStore(":memory:")
    witness = Witness(
        store=store,
        keys=Cosigner(name="w.example", ed25519=COSIGNERS[0].ed25519),
        log_keys=lambda origin: [LOG_KEY] if origin == ORIGIN else [],
        clock=ManualClock(),
    )
    seen: dict[int, bytes] = {}
    for _ in range(data.draw(st.integers(1, 6))):
        old, size = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
        claimed = data.draw(st.sampled_from([root(size), root(0), bytes(32)]))
        proof = consistency_proof(min(old, size), size, stored)
        body = format_add_checkpoint(old, proof, sign_checkpoint(ORIGIN, size, claimed, LOG))
        if data.draw(st.booleans()):
            body = mutate(body, data)
        answer = witness.add_checkpoint(body)
        assert answer.status in {200, 400, 403, 404, 409, 422}
        if answer.status == 200:
            now = witness.seen(ORIGIN)
            assert now is not None
            assert seen.setdefault(now.size, now.root) == now.root
            assert now.size == max(seen)
    store.close()

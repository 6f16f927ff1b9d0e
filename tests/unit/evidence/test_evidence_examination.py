"""Checkpoints of a receipt under a witness policy: what counts, what does not, and what can only be left open."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import pytest

from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import Cosigner, cosign_ml_dsa_44
from qaztech.evidence.examination import BAD, CANNOT, OK, Heads, Remembered
from qaztech.evidence.note import ED25519, ML_DSA_44, SignatureLine, VerifierKey, format_note
from qaztech.evidence.policy import Policy
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
LOG = Ed25519Key.from_seed(sha256(b"log").digest())
LOG_PQ = MlDsa44Key.from_seed(sha256(b"log pq").digest())
KEY = VerifierKey.of(ORIGIN, ED25519, LOG.public)
KEY_PQ = VerifierKey.of(ORIGIN, ML_DSA_44, LOG_PQ.public)


@dataclass
class Witnesses:
    """Three witnesses, the first of them hybrid, any two of which are a quorum."""

    cosigners: tuple[Cosigner, ...]
    policy: Policy


@pytest.fixture(scope="module")
def witnesses() -> Witnesses:
    seeds = [sha256(b"witness %d" % n).digest() for n in range(3)]
    cosigners = tuple(
        Cosigner(
            name=f"w{n}.example", ed25519=Ed25519Key.from_seed(s), ml_dsa_44=MlDsa44Key.from_seed(s) if n == 0 else None
        )
        for n, s in enumerate(seeds)
    )
    lines = [f"witness w{n}{suffix} {key}" for n, c in enumerate(cosigners) for suffix, key in zip(
        ("", ".pq"), c.verifier_keys, strict=False
    )]  # fmt: skip
    policy = "\n".join([*lines, "group all 2 w0 w1 w2", "quorum all", ""])
    return Witnesses(cosigners, Policy.parse(policy.encode()))


def note(witnesses: Witnesses, *numbers: int, hybrid: bool = False, drop: int | None = None) -> bytes:
    """A checkpoint cosigned by these witnesses; `drop` takes away one signature line."""
    signed = SignedCheckpoint.parse(sign_checkpoint(ORIGIN, 1, bytes(32), LOG))
    lines = [cosign_ml_dsa_44(signed, ORIGIN, LOG_PQ, 0)] if hybrid else []
    for number in numbers:
        lines += witnesses.cosigners[number].cosign(signed, 1_800_000_000 + number)
    whole = signed.note.with_signatures(lines)
    if drop is not None:
        kept = tuple(line for place, line in enumerate(whole.signatures) if place != drop)
        whole = type(whole)(whole.text, kept)
    return format_note(whole)


def test_a_quorum_witnesses(witnesses: Witnesses) -> None:
    """Two of three, and the time is that of the later."""
    head = Heads(witnesses.policy).examine(note(witnesses, 0, 1), ORIGIN, [KEY])
    assert (head.signature[0], head.cosignatures[0]) == (OK, OK)
    assert head.witnessed is not None
    assert head.witnessed.time == 1_800_000_001


def test_nobody_cosigned_is_not_known(witnesses: Witnesses) -> None:
    """A head without a line by any witness is recorded, not bad."""
    head = Heads(witnesses.policy).examine(note(witnesses), ORIGIN, [KEY])
    assert (head.signature[0], head.cosignatures[0], head.witnessed) == (OK, CANNOT, None)


def test_too_few_are_bad(witnesses: Witnesses) -> None:
    """One of three is no quorum, nor is one and half of a hybrid witness."""
    heads = Heads(witnesses.policy)
    assert heads.examine(note(witnesses, 1), ORIGIN, [KEY]).cosignatures[0] == BAD
    for half in (1, 2):
        assert heads.examine(note(witnesses, 0, 1, drop=half), ORIGIN, [KEY]).cosignatures[0] == BAD


def test_a_hybrid_log_signs_with_both(witnesses: Witnesses) -> None:
    """Where the log has an ML-DSA-44 key, its line is needed to be witnessed, and must be right to be anything."""
    heads = Heads(witnesses.policy)
    assert heads.examine(note(witnesses, 1, 2, hybrid=True), ORIGIN, [KEY, KEY_PQ]).cosignatures[0] == OK
    without = heads.examine(note(witnesses, 1, 2), ORIGIN, [KEY, KEY_PQ])
    assert (without.signature[0], without.cosignatures[0]) == (OK, BAD)
    signed = SignedCheckpoint.parse(note(witnesses, hybrid=True))
    *lines, last = signed.note.signatures
    wrong = SignatureLine(last.name, last.key_id, last.signature[:-1] + bytes([last.signature[-1] ^ 1]))
    head = heads.examine(format_note(type(signed.note)(signed.note.text, (*lines, wrong))), ORIGIN, [KEY, KEY_PQ])
    assert head.signature[0] == BAD


def test_strangers_do_not_sign_receipts(witnesses: Witnesses) -> None:
    """A line by a key that neither log nor policy knows is refused, whatever it says."""
    whole = note(witnesses, 1, 2, hybrid=True)
    assert Heads(witnesses.policy).examine(whole, ORIGIN, [KEY]).signature[0] == BAD


def test_another_log_is_another_log(witnesses: Witnesses) -> None:
    """A checkpoint of another origin, or by another key, proves nothing here."""
    heads = Heads(witnesses.policy)
    assert heads.examine(note(witnesses, 1, 2), ORIGIN[:-1] + "4", [KEY]).signature[0] == BAD
    other = VerifierKey.of(ORIGIN, ED25519, Ed25519Key.generate().public)
    assert heads.examine(note(witnesses, 1, 2), ORIGIN, [other]).signature[0] == BAD
    assert heads.examine(b"no note", ORIGIN, [KEY]).signature[0] == BAD


def test_a_policy_that_asks_nobody_is_satisfied() -> None:
    """`quorum none`: witnessed by decree, with no time."""
    head = Heads(Policy.parse(b"quorum none\n")).examine(sign_checkpoint(ORIGIN, 1, bytes(32), LOG), ORIGIN, [KEY])
    assert head.cosignatures[0] == OK
    assert head.witnessed is not None
    assert head.witnessed.time == 0


def test_results_are_remembered_within_bounds() -> None:
    """What was found is found again without looking; the oldest makes room."""
    asked: list[int] = []
    remembered: Remembered[int, str] = Remembered(2)
    for key in (1, 1, 2, 3, 2, 1):
        assert remembered.get(key, lambda key=key: (asked.append(key), str(key))[1]) == str(key)  # type: ignore[misc]
    assert asked == [1, 2, 3, 1]

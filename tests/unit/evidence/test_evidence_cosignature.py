"""Cosignatures of both types, and the rule that hybrid evidence is not downgraded in silence."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import (
    Cosigner,
    accept_cosignatures,
    cosign_ed25519,
    cosign_ml_dsa_44,
    cosigned_at,
    verify_cosignature,
    verify_log,
)
from qaztech.evidence.note import ED25519, ML_DSA_44, Note, SignatureLine, VerifierKey, format_note, key_id
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
ROOT = bytes(range(32))
LOG = Ed25519Key.from_seed(b"\1" * 32)
LOG_PQ = MlDsa44Key.from_seed(b"\2" * 32)
LOG_KEY = VerifierKey.of(ORIGIN, ED25519, LOG.public)
LOG_PQ_KEY = VerifierKey.of(ORIGIN, ML_DSA_44, LOG_PQ.public)
WITNESS = Cosigner(
    name="w.example", ed25519=Ed25519Key.from_seed(b"\3" * 32), ml_dsa_44=MlDsa44Key.from_seed(b"\4" * 32)
)
TIME = 1_800_000_000
SIGNED = SignedCheckpoint.parse(sign_checkpoint(ORIGIN, 7, ROOT, LOG))


def under(signed: SignedCheckpoint, *lines: SignatureLine) -> SignedCheckpoint:
    return SignedCheckpoint.parse(format_note(signed.note.with_signatures(lines)))


def test_both_types_verify_and_give_their_time() -> None:
    """A witness with two keys makes two cosignatures with one time; each verifies with its key."""
    lines = WITNESS.cosign(SIGNED, TIME)
    assert [verify_cosignature(line, key, SIGNED) for line, key in zip(lines, WITNESS.verifier_keys, strict=True)] == [
        TIME,
        TIME,
    ]
    assert [len(line.signature) for line in lines] == [8 + 64, 8 + 2420]


def test_a_witness_without_ml_dsa_makes_one_line() -> None:
    """Without an ML-DSA-44 key there is one cosignature and one verifier key."""
    witness = Cosigner(name="w.example", ed25519=WITNESS.ed25519)
    assert witness.cosign(SIGNED, TIME) == WITNESS.cosign(SIGNED, TIME)[:1]
    assert witness.verifier_keys == WITNESS.verifier_keys[:1]


@pytest.mark.parametrize("which", [0, 1])
def test_a_cosignature_holds_for_its_checkpoint_key_and_time_only(which: int) -> None:
    """Another origin, size, root, time, key or signature byte breaks a cosignature of either type."""
    line, key = WITNESS.cosign(SIGNED, TIME)[which], WITNESS.verifier_keys[which]
    for origin, size, root in ((ORIGIN + "x", 7, ROOT), (ORIGIN, 8, ROOT), (ORIGIN, 7, ROOT[::-1])):
        with pytest.raises(Untrusted):
            verify_cosignature(line, key, SignedCheckpoint.parse(sign_checkpoint(origin, size, root, LOG)))
    for position in (0, 7, 8, len(line.signature) - 1):
        changed = bytearray(line.signature)
        changed[position] ^= 1
        with pytest.raises(Untrusted):
            verify_cosignature(SignatureLine(line.name, line.key_id, bytes(changed)), key, SIGNED)
    for signature in (b"", line.signature[:7], line.signature[:-1], line.signature + b"\0"):
        with pytest.raises(Untrusted):
            verify_cosignature(SignatureLine(line.name, line.key_id, signature), key, SIGNED)
    with pytest.raises(Untrusted):
        verify_cosignature(line, WITNESS.verifier_keys[1 - which], SIGNED)


def test_a_log_key_is_no_cosigner() -> None:
    """A signature of type 0x01 does not pass for a cosignature."""
    with pytest.raises(Untrusted):
        verify_cosignature(SIGNED.note.signatures[0], LOG_KEY, SIGNED)


def test_a_time_beyond_the_limit_is_refused() -> None:
    """Times above 2**63 - 1 are refused even when signed."""
    line = cosign_ed25519(SIGNED, WITNESS.name, WITNESS.ed25519, 2**63)
    with pytest.raises(Untrusted):
        verify_cosignature(line, WITNESS.verifier_keys[0], SIGNED)


def test_ed25519_covers_extension_lines_and_ml_dsa_does_not() -> None:
    """The Ed25519 type covers the whole text, the ML-DSA-44 type origin, size and root."""
    text = Checkpoint(ORIGIN, 7, ROOT).body() + b"extension\n"
    line = SignatureLine(ORIGIN, LOG_KEY.key_id, LOG.sign(text))
    extended = SignedCheckpoint.parse(format_note(Note(text, (line,))))
    ed25519, ml_dsa_44 = WITNESS.cosign(extended, TIME)
    with pytest.raises(Untrusted):
        verify_cosignature(ed25519, WITNESS.verifier_keys[0], SIGNED)
    assert verify_cosignature(ml_dsa_44, WITNESS.verifier_keys[1], SIGNED) == TIME


def test_the_ml_dsa_type_commits_to_the_name() -> None:
    """The same ML-DSA-44 key under another name does not verify; names are limited."""
    line = WITNESS.cosign(SIGNED, TIME)[1]
    key = WITNESS.ml_dsa_44
    assert key is not None
    other = VerifierKey.of("x.example", ML_DSA_44, key.public)
    with pytest.raises(Untrusted):
        verify_cosignature(SignatureLine("x.example", other.key_id, line.signature), other, SIGNED)
    long = VerifierKey.of("x" * 256, ML_DSA_44, key.public)
    with pytest.raises(Untrusted):
        verify_cosignature(SignatureLine(long.name, long.key_id, line.signature), long, SIGNED)
    with pytest.raises(Malformed):
        cosign_ml_dsa_44(SIGNED, "x" * 256, key, TIME)


def test_the_earliest_of_several_cosignatures_counts() -> None:
    """Cosigned twice, a checkpoint was cosigned from the first time on; a wrong one spoils it; none is None."""
    key = WITNESS.verifier_keys[0]
    late = cosign_ed25519(SIGNED, WITNESS.name, WITNESS.ed25519, TIME + 9)
    early = cosign_ed25519(SIGNED, WITNESS.name, WITNESS.ed25519, TIME)
    assert cosigned_at(under(SIGNED, late, early), key) == TIME
    assert cosigned_at(SIGNED, key) is None
    wrong = SignatureLine(early.name, early.key_id, late.signature[:8] + early.signature[8:])
    with pytest.raises(Untrusted):
        cosigned_at(under(SIGNED, early, wrong), key)


def test_a_log_with_an_ml_dsa_key_must_use_it() -> None:
    """Where the log's ML-DSA-44 key is in force, Ed25519 alone is a downgrade; without the key it is enough."""
    line = cosign_ml_dsa_44(SIGNED, ORIGIN, LOG_PQ, TIME)
    both = under(SIGNED, line)
    assert verify_log(both, [LOG_KEY, LOG_PQ_KEY]) == Checkpoint(ORIGIN, 7, ROOT)
    assert verify_log(both, [LOG_KEY]) == verify_log(SIGNED, [LOG_KEY]) == Checkpoint(ORIGIN, 7, ROOT)
    with pytest.raises(Untrusted, match=r"checkpoint\.downgraded"):
        verify_log(SIGNED, [LOG_KEY, LOG_PQ_KEY])
    with pytest.raises(Untrusted, match=r"checkpoint\.unsigned"):
        verify_log(both, [LOG_PQ_KEY])
    wrong = SignatureLine(line.name, line.key_id, line.signature[:-1] + bytes([line.signature[-1] ^ 1]))
    with pytest.raises(Untrusted, match=r"cosignature\.wrong"):
        verify_log(under(SIGNED, wrong), [LOG_KEY, LOG_PQ_KEY])


def test_either_ml_dsa_key_of_a_rotation_will_do() -> None:
    """Two ML-DSA-44 keys of the log in force: one signature by either is enough."""
    other = VerifierKey.of(ORIGIN, ML_DSA_44, MlDsa44Key.from_seed(b"\5" * 32).public)
    both = under(SIGNED, cosign_ml_dsa_44(SIGNED, ORIGIN, LOG_PQ, TIME))
    assert verify_log(both, [LOG_KEY, other, LOG_PQ_KEY]).size == 7


def test_an_ml_dsa_key_of_another_name_is_not_the_logs() -> None:
    """An ML-DSA-44 key under another name neither helps nor is asked for."""
    other = VerifierKey.of("other.example", ML_DSA_44, LOG_PQ.public)
    assert verify_log(SIGNED, [LOG_KEY, other]).size == 7


def test_hybrid_evidence_has_no_extension_lines() -> None:
    """Extension lines, which ML-DSA-44 does not cover, are refused where it is in force."""
    text = Checkpoint(ORIGIN, 7, ROOT).body() + b"extension\n"
    line = SignatureLine(ORIGIN, key_id(ORIGIN, ED25519, LOG.public), LOG.sign(text))
    extended = SignedCheckpoint.parse(format_note(Note(text, (line,))))
    hybrid = under(extended, cosign_ml_dsa_44(extended, ORIGIN, LOG_PQ, TIME))
    assert verify_log(hybrid, [LOG_KEY]).size == 7
    with pytest.raises(Untrusted, match=r"checkpoint\.extension"):
        verify_log(hybrid, [LOG_KEY, LOG_PQ_KEY])


def test_an_answer_gives_the_lines_of_known_keys() -> None:
    """From a witness's answer only verified lines of known keys are taken; a wrong one is an error."""
    lines = WITNESS.cosign(SIGNED, TIME)
    stranger = SignatureLine("stranger", b"1234", b"x")
    answer = b"".join(line.format() for line in (stranger, *lines))
    assert accept_cosignatures(SIGNED, answer, WITNESS.verifier_keys) == lines
    assert accept_cosignatures(SIGNED, answer, WITNESS.verifier_keys[:1]) == lines[:1]
    assert accept_cosignatures(SIGNED, stranger.format(), WITNESS.verifier_keys) == ()
    wrong = SignatureLine(lines[0].name, lines[0].key_id, bytes(72))
    with pytest.raises(Untrusted):
        accept_cosignatures(SIGNED, answer + wrong.format(), WITNESS.verifier_keys)
    with pytest.raises(Malformed):
        accept_cosignatures(SIGNED, b"not lines", WITNESS.verifier_keys)

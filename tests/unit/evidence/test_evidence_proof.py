"""tlog-proof: one entry, one path, one checkpoint."""

from __future__ import annotations

from base64 import b64encode

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from qaztech.evidence.note import COSIGNATURE_ED25519, ED25519, VerifierKey, format_note, parse_note
from qaztech.evidence.policy import Policy
from qaztech.evidence.proof import TlogProof
from qaztech.trust.keys import Ed25519Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
LOG = Ed25519Key.from_seed(b"\1" * 32)
LOG_KEY = VerifierKey.of(ORIGIN, ED25519, LOG.public)
WITNESS = Ed25519Key.from_seed(b"\3" * 32)
WITNESS_KEY = VerifierKey.of("w.example", COSIGNATURE_ED25519, WITNESS.public)
POLICY = Policy.parse(f"witness w {WITNESS_KEY}\nquorum w\n".encode())
LEAVES = [leaf_hash(b"record %d" % number) for number in range(5)]
HASH = b64encode(bytes(32)).decode()


def stored(level: int, index: int) -> bytes:
    return LEAVES[index] if level == 0 else node_hash(stored(level - 1, 2 * index), stored(level - 1, 2 * index + 1))


def proof(index: int = 3, *, witnessed: bool = True, extra: bytes | None = None) -> TlogProof:
    frontier = Frontier()
    frontier.extend(LEAVES)
    note = sign_checkpoint(ORIGIN, 5, frontier.root(), LOG)
    if witnessed:
        line = cosign_ed25519(SignedCheckpoint.parse(note), "w.example", WITNESS, 1_800_000_000)
        note = format_note(parse_note(note).with_signatures([line]))
    return TlogProof(index=index, hashes=tuple(inclusion_proof(index, 5, stored)), checkpoint=note, extra=extra)


@pytest.mark.parametrize("extra", [None, b"", b"extra \0 data"])
def test_a_proof_is_read_and_written_back(extra: bytes | None) -> None:
    """A proof survives its text form, with and without extra data and hashes."""
    for index in range(5):
        one = proof(index, extra=extra)
        assert TlogProof.parse(one.format()) == one
    empty = TlogProof(index=0, hashes=(), checkpoint=b"any\n\nbytes", extra=extra)
    assert TlogProof.parse(empty.format()) == empty


def test_a_proof_verifies_for_its_leaf() -> None:
    """Each leaf verifies under the witnessed checkpoint, with the witnesses' time."""
    for index, leaf in enumerate(LEAVES):
        witnessed = proof(index).verify(leaf, POLICY, [LOG_KEY])
        assert (witnessed.checkpoint.size, witnessed.time) == (5, 1_800_000_000)
        assert proof(index, witnessed=False).verify_signed(leaf, [LOG_KEY]) == witnessed.checkpoint
        proof(index).verify_under(leaf, witnessed.checkpoint)


def test_a_proof_holds_for_nothing_else() -> None:
    """Another leaf, index, key, or a checkpoint nobody witnessed is not accepted."""
    other = VerifierKey.of(ORIGIN, ED25519, WITNESS.public)
    for one, leaf, keys in (
        (proof(3), LEAVES[2], [LOG_KEY]),
        (TlogProof(index=2, hashes=proof(3).hashes, checkpoint=proof(3).checkpoint), LEAVES[3], [LOG_KEY]),
        (TlogProof(index=9, hashes=proof(3).hashes, checkpoint=proof(3).checkpoint), LEAVES[3], [LOG_KEY]),
        (proof(3), LEAVES[3], [other]),
        (proof(3, witnessed=False), LEAVES[3], [LOG_KEY]),
    ):
        with pytest.raises(Untrusted):
            one.verify(leaf, POLICY, keys)
    with pytest.raises(Untrusted):
        proof(3).verify_signed(LEAVES[2], [LOG_KEY])
    with pytest.raises(Malformed):
        TlogProof(index=0, hashes=(), checkpoint=b"not a note").verify(LEAVES[0], POLICY, [LOG_KEY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nnote",
        " c2sp.org/tlog-proof@v1\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\nnote",
        "c2sp.org/tlog-proof@v1\n\nnote",
        f"c2sp.org/tlog-proof@v1\n{HASH}\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 01\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex -1\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex ٣\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0 \n\nnote",
        f"c2sp.org/tlog-proof@v1\nindex {2**63}\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nnote",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH[:-1]}\n\nnote",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH[:-2]}B=\n\nnote",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH} \n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 64 + "\nnote",
        "c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * 700_000,
    ],
)
def test_what_is_not_a_proof_is_refused(text: str) -> None:
    """Every departure from the form is malformed."""
    with pytest.raises(Malformed):
        TlogProof.parse(text.encode())

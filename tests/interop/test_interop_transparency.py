"""What others published, checked with our code: hashes, proofs, notes, and checkpoints of public logs.

The tree of eight leaves and its proofs are those that Certificate Transparency implementations have shared since RFC
6962; the notes are the vectors of C2SP signed-note and of Go's checksum database; the checkpoints in `checkpoints/`
were served by public staging logs with cosignatures of public witnesses, Ed25519 and ML-DSA-44.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest

from qaztech.core.errors import Untrusted
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import cosigned_at, verify_cosignature
from qaztech.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from qaztech.evidence.note import COSIGNATURE_ED25519, ED25519, ML_DSA_44, VerifierKey, format_note, parse_note
from qaztech.evidence.policy import Policy
from qaztech.trust.keys import Ed25519Key, verify_ed25519

CHECKPOINTS = Path(__file__).parent / "checkpoints"

ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSION = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
}
CONSISTENCY = {
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}


def stored(level: int, index: int) -> bytes:
    if level == 0:
        return leaf_hash(ENTRIES[index])
    return node_hash(stored(level - 1, 2 * index), stored(level - 1, 2 * index + 1))


def test_the_tree_of_eight_leaves_has_the_published_roots() -> None:
    """Leaf and node hashes, and the root at every size, are those of RFC 6962's implementations."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = Frontier()
    for entry, root in zip(ENTRIES, ROOTS, strict=True):
        frontier.append(leaf_hash(entry))
        assert frontier.root() == root


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_inclusion_proofs_hold(index: int, size: int) -> None:
    """We make and accept the published audit paths."""
    proof = [bytes.fromhex(text) for text in INCLUSION[index, size]]
    assert inclusion_proof(index, size, stored) == proof
    verify_inclusion(leaf_hash(ENTRIES[index]), index, size, proof, ROOTS[size - 1])


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_published_consistency_proofs_hold(old: int, new: int) -> None:
    """We make and accept the published consistency proofs."""
    proof = [bytes.fromhex(text) for text in CONSISTENCY[old, new]]
    assert consistency_proof(old, new, stored) == proof
    verify_consistency(old, ROOTS[old - 1], new, ROOTS[new - 1], proof)


@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
    ],
)
def test_ed25519_signs_as_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    """The first vectors of RFC 8032, section 7.1."""
    key = Ed25519Key.from_seed(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify_ed25519(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


def test_ed25519_keys_of_small_order_are_refused() -> None:
    """The identity point as a key would verify anything; it verifies nothing."""
    identity = b"\x01" + bytes(31)
    assert not verify_ed25519(identity, identity + bytes(32), b"message")


GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
C2SP_SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
NOTES = {
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW": (
        f"{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n"
    ),
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k": (
        f"This is an example message.\n\n— example.com/foo {C2SP_SIGNATURE}\n"
    ),
}


@pytest.mark.parametrize(("vkey", "note"), NOTES.items())
def test_published_notes_verify(vkey: str, note: str) -> None:
    """Keys and notes of Go's checksum database and of C2SP signed-note are read, verified, and written back."""
    key = VerifierKey.parse(vkey)
    assert (str(key), key.kind) == (vkey, ED25519)
    parsed = parse_note(note.encode())
    (line,) = parsed.signatures
    assert key.made(line)
    assert verify_ed25519(key.public, line.signature, parsed.text)
    assert format_note(parsed) == note.encode()


def test_a_published_signing_key_reproduces_its_note() -> None:
    """Ed25519 being deterministic, Go's published signing key makes the very signature that was published."""
    key = Ed25519Key.from_seed(b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])
    identifier = VerifierKey.of("PeterNeumann", ED25519, key.public).key_id
    assert identifier + key.sign(GO_TEXT.encode()) == b64decode(GO_SIGNATURE)


def test_a_checkpoint_of_a_public_log_is_witnessed() -> None:
    """Log signature and a quorum of public witnesses hold; an unknown signature type of the log is passed over."""
    policy = Policy.parse((CHECKPOINTS / "arche2025h1.policy").read_bytes())
    note = (CHECKPOINTS / "arche2025h1.txt").read_bytes()
    witnessed = policy.verify(note)
    assert (witnessed.checkpoint.origin, witnessed.checkpoint.size) == (
        "arche2025h1.staging.ct.transparency.dev",
        1432088532,
    )
    assert set(witnessed.times) == {"little-garden", "smartit", "remora", "stagemole"}
    assert witnessed.time == 1779573024
    with pytest.raises(Untrusted):
        policy.verify(note.replace(b"1432088532", b"1432088533"))


def test_both_cosignatures_of_a_public_witness_verify() -> None:
    """A witness that cosigns with Ed25519 and ML-DSA-44 did so at one time over the same checkpoint."""
    signed = SignedCheckpoint.parse((CHECKPOINTS / "coachandhorses2026h1.txt").read_bytes())
    ed25519, ml_dsa_44 = map(VerifierKey.parse, (CHECKPOINTS / "coachandhorses2026h1.keys").read_text().split())
    assert (ed25519.kind, ml_dsa_44.kind) == (COSIGNATURE_ED25519, ML_DSA_44)
    assert cosigned_at(signed, ed25519) == cosigned_at(signed, ml_dsa_44) == 1785704691
    other = SignedCheckpoint.parse(format_note(signed.note).replace(b"185550722", b"185550723"))
    for key, line in zip((ed25519, ml_dsa_44), signed.note.signatures[1:], strict=True):
        with pytest.raises(Untrusted):
            verify_cosignature(line, key, other)


def test_the_example_of_the_cosignature_specification_is_read() -> None:
    """The line printed in C2SP tlog-cosignature carries the time that the text beside it signs."""
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
        "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    signed = SignedCheckpoint.parse(note.encode())
    assert (signed.origin, signed.size, signed.extensions) == ("example.com/behind-the-sofa", 20852163, ())
    line = signed.note.signatures[1]
    assert (line.key_id.hex(), len(line.signature)) == ("8d66cf3f", 72)
    assert int.from_bytes(line.signature[:8], "big") == 1679315147

"""Checkpoints: signing, parsing, verifying."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.checkpoint import MAX_SIZE, Checkpoint, SignedCheckpoint, sign_checkpoint
from qaztech.evidence.note import (
    COSIGNATURE_ED25519,
    ED25519,
    Note,
    SignatureLine,
    VerifierKey,
    format_note,
    key_id,
    parse_note,
)
from qaztech.trust.keys import Ed25519Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
ROOT = bytes(range(32))
KEY = Ed25519Key.from_seed(b"\1" * 32)
VKEY = VerifierKey.of(ORIGIN, ED25519, KEY.public)
OTHER = Ed25519Key.from_seed(b"\2" * 32)


def signed_text(text: str, *keys: Ed25519Key) -> bytes:
    """A note over any text under the log's name."""
    lines = [SignatureLine(ORIGIN, key_id(ORIGIN, ED25519, key.public), key.sign(text.encode())) for key in keys]
    return format_note(Note(text.encode(), tuple(lines)))


def test_a_signed_checkpoint_verifies() -> None:
    """What the log signs comes out verified, with the body that was signed."""
    for size in (0, 1, 12345, MAX_SIZE):
        data = sign_checkpoint(ORIGIN, size, ROOT, KEY)
        checkpoint = SignedCheckpoint.parse(data).verify([VKEY])
        assert checkpoint == Checkpoint(ORIGIN, size, ROOT)
        assert checkpoint.body() == parse_note(data).text
        assert format_note(SignedCheckpoint.parse(data).note) == data


def test_only_the_logs_own_key_counts() -> None:
    """Another key, another name, or the same key as a witness's does not verify a checkpoint."""
    signed = SignedCheckpoint.parse(sign_checkpoint(ORIGIN, 7, ROOT, KEY))
    for keys in (
        [],
        [VerifierKey.of(ORIGIN, ED25519, OTHER.public)],
        [VerifierKey.of("other.example", ED25519, KEY.public)],
        [VerifierKey.of(ORIGIN, COSIGNATURE_ED25519, KEY.public)],
    ):
        with pytest.raises(Untrusted):
            signed.verify(keys)


def test_a_key_of_another_log_does_not_speak_for_this_one() -> None:
    """A trusted key under another log's name signing this origin is not accepted."""
    text = Checkpoint(ORIGIN, 7, ROOT).body()
    line = SignatureLine("other.example", key_id("other.example", ED25519, OTHER.public), OTHER.sign(text))
    signed = SignedCheckpoint.parse(format_note(Note(text, (line,))))
    with pytest.raises(Untrusted):
        signed.verify([VerifierKey.of("other.example", ED25519, OTHER.public)])


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    """A good signature beside a wrong one of a known key is refused; unknown ones are passed over."""
    data = sign_checkpoint(ORIGIN, 7, ROOT, KEY)
    stranger = SignatureLine("stranger", b"1234", b"anything")
    wrong = SignatureLine(ORIGIN, VKEY.key_id, bytes(64))
    with_stranger = format_note(parse_note(data).with_signatures([stranger]))
    assert SignedCheckpoint.parse(with_stranger).verify([VKEY]).size == 7
    for lines in ([wrong], [stranger, wrong]):
        spoiled = format_note(parse_note(data).with_signatures(lines))
        with pytest.raises(Untrusted):
            SignedCheckpoint.parse(spoiled).verify([VKEY])


def test_either_key_of_a_rotation_verifies() -> None:
    """With two keys of the log known, a checkpoint by one of them is enough."""
    keys = [VerifierKey.of(ORIGIN, ED25519, OTHER.public), VKEY]
    assert SignedCheckpoint.parse(sign_checkpoint(ORIGIN, 7, ROOT, KEY)).verify(keys).size == 7


@pytest.mark.parametrize(
    "change",
    [(b"\n7\n", b"\n8\n"), (ORIGIN.encode() + b"\n", b"kz.qaztech.example/log/0000\n"), (b"AAEC", b"BAEC")],
)
def test_a_changed_checkpoint_does_not_verify(change: tuple[bytes, bytes]) -> None:
    """Origin, size and root are all under the signature."""
    data = sign_checkpoint(ORIGIN, 7, ROOT, KEY).replace(*change, 1)
    with pytest.raises(Untrusted):
        SignedCheckpoint.parse(data).verify([VKEY])


def test_extension_lines_are_kept_and_signed() -> None:
    """Extension lines of other logs are read; changing one breaks the signature."""
    text = Checkpoint(ORIGIN, 7, ROOT).body().decode() + "extension one\nextension two\n"
    data = signed_text(text, KEY)
    signed = SignedCheckpoint.parse(data)
    assert signed.extensions == ("extension one", "extension two")
    assert signed.verify([VKEY]) == Checkpoint(ORIGIN, 7, ROOT)
    with pytest.raises(Untrusted):
        SignedCheckpoint.parse(data.replace(b"one", b"two")).verify([VKEY])


ENCODED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize(
    "text",
    [
        "origin\n7\n",
        "origin\n\n7\n" + ENCODED + "\n",
        "\n7\n" + ENCODED + "\n",
        f"origin\n07\n{ENCODED}\n",
        f"origin\n+7\n{ENCODED}\n",
        f"origin\n-7\n{ENCODED}\n",
        f"origin\n 7\n{ENCODED}\n",
        f"origin\n٧\n{ENCODED}\n",
        f"origin\n7_0\n{ENCODED}\n",
        f"origin\n{2**63}\n{ENCODED}\n",
        f"origin\n{10**400}\n{ENCODED}\n",
        f"origin\n7\n{ENCODED[:-4]}\n",
        f"origin\n7\n{ENCODED[:-1]}\n",
        f"origin\n7\n{ENCODED[:-2]}9=\n",
        f"origin\n7\n{ENCODED}\n\nextension\n",
        f"{'o' * 256}\n7\n{ENCODED}\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    """Any other text in a well-formed note is malformed."""
    with pytest.raises(Malformed):
        SignedCheckpoint.parse(signed_text(text, KEY))


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        *((origin, 1, ROOT) for origin in ("", "a b", "a+b", "a\nb", "o" * 256)),
        (ORIGIN, -1, ROOT),
        (ORIGIN, 2**63, ROOT),
        (ORIGIN, 1, ROOT[:-1]),
    ],
)
def test_a_checkpoint_nobody_could_read_is_not_signed(origin: str, size: int, root: bytes) -> None:
    """The log does not sign what the parser would refuse."""
    with pytest.raises(Malformed):
        sign_checkpoint(origin, size, root, KEY)

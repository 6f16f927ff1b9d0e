"""Signed notes: a text and the signatures over it (C2SP signed-note), and verifier keys in their `vkey` form.

Parsing proves form only and is strict: base64 must be canonical, so one note has one spelling. What a signature means
depends on its type and is checked elsewhere: `checkpoint` (0x01), `cosignature` (0x04 and 0x06).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from qaztech.core.errors import Malformed
from qaztech.trust.keys import ED25519_PUBLIC_SIZE, ML_DSA_44_PUBLIC_SIZE

ED25519: Final = 0x01
COSIGNATURE_ED25519: Final = 0x04
ML_DSA_44: Final = 0x06

MAX_NOTE_BYTES: Final = 512 * 1024  # 100 signatures of ML-DSA-44 fit
MAX_SIGNATURES: Final = 100
KEY_ID_SIZE: Final = 4

_PUBLIC_SIZES: Final = {
    ED25519: ED25519_PUBLIC_SIZE,
    COSIGNATURE_ED25519: ED25519_PUBLIC_SIZE,
    ML_DSA_44: ML_DSA_44_PUBLIC_SIZE,
}
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_HEX_ID: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)
_DASH: Final = "— "


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature under a note: who says to have made it, the four-byte key id, and the signature's own bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def format(self) -> bytes:
        """The line as it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.signature).decode()}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A text, its final newline included, and the signatures under it. Nothing in it is verified."""

    text: bytes
    signatures: tuple[SignatureLine, ...]

    def with_signatures(self, lines: Iterable[SignatureLine]) -> Note:
        """The same text under its signatures and further ones; those it has are not doubled."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *lines))))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name and the signature type it is trusted for."""

    name: str
    key_id: bytes
    kind: int
    public: bytes

    @classmethod
    def of(cls, name: str, kind: int, public: bytes) -> VerifierKey:
        """The verifier key of these parts, its id computed."""
        if not is_key_name(name):
            raise Malformed("vkey.malformed", "a key name is not empty and has neither spaces nor plus signs")
        if _PUBLIC_SIZES.get(kind) != len(public):
            raise Malformed("vkey.malformed", "the signature type is unknown or the key has a wrong length for it")
        return cls(name, key_id(name, kind, public), kind, public)

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """The key written as `NAME+ID+BASE64`."""
        name, _, rest = vkey.partition("+")
        identifier, _, encoded = rest.partition("+")
        material = parse_base64(encoded, "vkey.malformed")
        key = cls.of(name, material[0] if material else 0, material[1:])
        if not _HEX_ID.fullmatch(identifier) or bytes.fromhex(identifier) != key.key_id:
            raise Malformed("vkey.malformed", "the key id does not belong to the name and the key")
        return key

    def __str__(self) -> str:
        """`NAME+ID+BASE64`."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"

    def made(self, line: SignatureLine) -> bool:
        """Whether the line says to be by this key; the signature itself is not looked at."""
        return line.key_id == self.key_id and line.name == self.name


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The four bytes that tell a key, its name and its signature type from others (an identifier, not a proof)."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:KEY_ID_SIZE]


def is_key_name(name: str) -> bool:
    """Whether a name may stand before a signature: not empty, no spaces, no plus, no control characters, UTF-8."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name) and "+" not in name and not _CONTROL.search(encoded) and not any(map(str.isspace, name))


def parse_base64(text: str, code: str) -> bytes:
    """The bytes of canonical standard base64."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed(code, "not base64") from error
    if b64encode(data).decode() != text:
        raise Malformed(code, "not canonical base64")
    return data


def parse_note(data: bytes) -> Note:
    """The note in these bytes; its signatures are not verified."""
    if len(data) > MAX_NOTE_BYTES:
        raise Malformed("note.malformed", f"a note has at most {MAX_NOTE_BYTES} bytes")
    blank = data.rfind(b"\n\n")
    if blank < 0:
        raise Malformed("note.malformed", "no blank line stands between text and signatures")
    text = data[: blank + 1]
    if _CONTROL.search(text):
        raise Malformed("note.malformed", "control characters in a note")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Malformed("note.malformed", "a note is UTF-8") from error
    return Note(text, parse_signature_lines(data[blank + 2 :]))


def parse_signature_lines(data: bytes) -> tuple[SignatureLine, ...]:
    """One or more signature lines, as under a note or in a witness's answer."""
    if len(data) > MAX_NOTE_BYTES or _CONTROL.search(data):
        raise Malformed("note.malformed", "control characters in a note, or too long")
    try:
        *lines, rest = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("note.malformed", "a note is UTF-8") from error
    if rest or not 0 < len(lines) <= MAX_SIGNATURES:
        raise Malformed("note.malformed", f"one to {MAX_SIGNATURES} signature lines, each ended by a newline")
    return tuple(map(_parse_signature_line, lines))


def format_note(note: Note) -> bytes:
    """The bytes of a note."""
    if not note.text.endswith(b"\n"):
        raise Malformed("note.malformed", "a note's text ends in a newline")
    return note.text + b"\n" + b"".join([line.format() for line in note.signatures])


def _parse_signature_line(line: str) -> SignatureLine:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not is_key_name(name):
        raise Malformed("note.malformed", "a signature line is an em dash, a key name and base64")
    signature = parse_base64(encoded, "note.malformed")
    if len(signature) <= KEY_ID_SIZE:
        raise Malformed("note.malformed", "a signature line without a signature")
    return SignatureLine(name, signature[:KEY_ID_SIZE], signature[KEY_ID_SIZE:])

"""Checkpoints: what the log has committed to, at one size (C2SP tlog-checkpoint).

Parsing proves form only. A `SignedCheckpoint` becomes a `Checkpoint` through `verify`, which needs the log's Ed25519
key under the origin's name; besides that only the log itself makes one. Not here: witnesses and their quorum
(`policy`), ML-DSA-44 signatures (`cosignature`), publishing (`log`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.merkle import HASH_SIZE
from qaztech.evidence.note import (
    ED25519,
    Note,
    SignatureLine,
    VerifierKey,
    format_note,
    is_key_name,
    key_id,
    parse_base64,
    parse_note,
)
from qaztech.trust.keys import Ed25519Key, verify_ed25519

MAX_SIZE: Final = 2**63 - 1
MAX_ORIGIN_BYTES: Final = 255  # what an ML-DSA-44 cosignature can carry
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified tree head: the log named `origin` stood at `size` entries under `root`."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """The text that is signed: three lines, no extension lines."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode()


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it came, with signatures nobody has checked yet."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...]
    note: Note

    @classmethod
    def parse(cls, data: bytes) -> SignedCheckpoint:
        """The checkpoint in these bytes, unverified."""
        note = parse_note(data)
        lines = note.text[:-1].decode().split("\n")
        if len(lines) < 3 or not all(lines):
            raise Malformed(
                "checkpoint.malformed", "origin, size and root, one to a line, and no empty lines", at="log"
            )
        origin, size, root, *extensions = lines
        digest = parse_base64(root, "checkpoint.malformed")
        if len(digest) != HASH_SIZE or len(origin.encode()) > MAX_ORIGIN_BYTES:
            raise Malformed("checkpoint.malformed", "the root is not a SHA-256 hash, or the origin too long", at="log")
        return cls(origin, parse_size(size, "checkpoint.malformed"), digest, tuple(extensions), note)

    def verify(self, keys: Iterable[VerifierKey]) -> Checkpoint:
        """The verified checkpoint: at least one of `keys` signed it, and none of them wrongly.

        Counted are Ed25519 keys (type 0x01) whose name is the origin; all others are passed over.
        """
        verified = False
        for key in keys:
            if key.kind != ED25519 or key.name != self.origin:
                continue
            for line in self.note.signatures:
                if key.made(line):
                    if not verify_ed25519(key.public, line.signature, self.note.text):
                        raise Untrusted("checkpoint.signature", f"a wrong signature of log {self.origin}", at="log")
                    verified = True
        if not verified:
            raise Untrusted("checkpoint.unsigned", f"no signature by a known key of log {self.origin}", at="log")
        return Checkpoint(self.origin, self.size, self.root)


def sign_checkpoint(origin: str, size: int, root: bytes, key: Ed25519Key) -> bytes:
    """The checkpoint as a note with the log's Ed25519 signature, whose key name is the origin."""
    fits = 0 <= size <= MAX_SIZE and len(root) == HASH_SIZE
    if not fits or not is_key_name(origin) or len(origin.encode()) > MAX_ORIGIN_BYTES:
        raise Malformed("checkpoint.malformed", "an origin, size or root that no checkpoint can carry", at="log")
    body = Checkpoint(origin, size, root).body()
    line = SignatureLine(origin, key_id(origin, ED25519, key.public), key.sign(body))
    return format_note(Note(body, (line,)))


def parse_size(text: str, code: str) -> int:
    """A tree size or an index: decimal, no leading zeros, below 2**63."""
    if not _DECIMAL.fullmatch(text) or (size := int(text)) > MAX_SIZE:
        raise Malformed(code, "not a decimal number below 2**63 without leading zeros", at="log")
    return size

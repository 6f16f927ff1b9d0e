"""Proofs that one entry is in a log: index, inclusion proof and the checkpoint it leads to (C2SP tlog-proof).

A proof is text that anyone can check offline with the log's keys and the witness policy. Parsing proves form only; the
three verifying methods differ in what they ask of the checkpoint. `extra` is not authenticated by anything.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qaztech.core.errors import Malformed
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint, parse_size
from qaztech.evidence.merkle import HASH_SIZE, verify_inclusion
from qaztech.evidence.note import MAX_NOTE_BYTES, VerifierKey, parse_base64
from qaztech.evidence.policy import Policy, Witnessed

HEADER: Final = b"c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63
MAX_PROOF_BYTES: Final = MAX_NOTE_BYTES + 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A parsed, unverified proof; `checkpoint` holds the note's exact bytes."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """The proof in these bytes."""
        head, blank, checkpoint = data.partition(b"\n\n")
        header, *lines = head.split(b"\n")
        if len(data) > MAX_PROOF_BYTES or not blank or header != HEADER:
            raise _malformed("not a tlog-proof, or too long")
        words = [_ascii(line) for line in lines]
        extra = None
        if words and words[0].startswith("extra "):
            extra = parse_base64(words.pop(0).removeprefix("extra "), "proof.malformed")
        if not words or not words[0].startswith("index "):
            raise _malformed("the index line is missing")
        index = parse_size(words.pop(0).removeprefix("index "), "proof.malformed")
        hashes = tuple(parse_base64(word, "proof.malformed") for word in words)
        if len(hashes) > MAX_HASHES or any(len(value) != HASH_SIZE for value in hashes):
            raise _malformed(f"at most {MAX_HASHES} SHA-256 hashes")
        return cls(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)

    def format(self) -> bytes:
        """The proof as text."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(b"extra " + b64encode(self.extra))
        lines.append(b"index %d" % self.index)
        lines.extend(map(b64encode, self.hashes))
        return b"\n".join(lines) + b"\n\n" + self.checkpoint

    def verify(self, leaf: bytes, policy: Policy, log_keys: Iterable[VerifierKey] | None = None) -> Witnessed:
        """The witnessed checkpoint under which `leaf` (a leaf hash) stands at the index."""
        witnessed = policy.verify(self.checkpoint, log_keys)
        self.verify_under(leaf, witnessed.checkpoint)
        return witnessed

    def verify_signed(self, leaf: bytes, log_keys: Iterable[VerifierKey]) -> Checkpoint:
        """The checkpoint, signed by its log but perhaps witnessed by nobody, under which `leaf` stands."""
        checkpoint = SignedCheckpoint.parse(self.checkpoint).verify(log_keys)
        self.verify_under(leaf, checkpoint)
        return checkpoint

    def verify_under(self, leaf: bytes, checkpoint: Checkpoint) -> None:
        """Check only the path, from `leaf` to a checkpoint that was verified before from these very bytes."""
        verify_inclusion(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root)


def _ascii(line: bytes) -> str:
    try:
        return line.decode("ascii")
    except UnicodeDecodeError as error:
        raise _malformed("characters that no proof has") from error


def _malformed(why: str) -> Malformed:
    return Malformed("proof.malformed", why, at="log")

"""What a node keeps beside its log's leaves: the data a record commits to, and the peer's proof for it.

Leaves are for witnesses and auditors; this is for the parties. It is stored in the same write as the leaf, under the
same fsync, and is never part of the tree.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY

# Kinds of notes in a node's log (the log itself gives them no meaning).
PEER_HEAD = 1
ACK = 2
WITNESSED = 3
TIMESTAMP = 4

_encode = msgspec.msgpack.Encoder().encode


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """Beside a leaf: the secret and what it opens; for a record of the peer, where the peer proved it."""

    secret: bytes = b""
    path: str = ""
    query: bytes = b""
    headers: bytes = b""
    # For records received: ordinal of the PEER_HEAD note that proves it, and its index in the peer's log.
    head: int = -1
    peer_index: int = -1
    # For a response received: where the peer's log says it holds the request.
    request_index: int = -1

    def value(self, field: str) -> bytes | None:
        """The bytes a field of the record commits to; None for the body, which is not kept."""
        return {
            PATH: self.path.encode(),
            QUERY: self.query,
            HEADERS: self.headers,
            BODY: None,
        }[field]


class PeerHead(msgspec.Struct, array_like=True, frozen=True):
    """A head of a peer's log as accepted: enough to derive an inclusion proof for any leaf of its run."""

    origin: str
    start: int
    frontier: tuple[bytes, ...]
    leaves: bytes
    size: int
    signature: bytes


class AckNote(msgspec.Struct, array_like=True, frozen=True):
    """The peer acknowledged our record: its index in the peer's log and the head that proves it."""

    message: bytes
    peer_index: int
    head: int


class Remembered(NamedTuple):
    """A head of a peer's log, durably accepted."""

    size: int
    root: bytes
    signature: bytes


_kept = msgspec.msgpack.Decoder(Kept)
_peer_head = msgspec.msgpack.Decoder(PeerHead)
_ack = msgspec.msgpack.Decoder(AckNote)


def seal_kept(kept: Kept) -> bytes:
    """The bytes stored beside a leaf."""
    return _encode(kept)


def open_kept(data: bytes) -> Kept:
    """What was stored beside a leaf; own data, so a failure is a damaged disk."""
    return _kept.decode(data) if data else Kept()


def format_note(note: PeerHead | AckNote) -> bytes:
    """The payload of a note."""
    return _encode(note)


def parse_peer_head(data: bytes) -> PeerHead:
    """A stored head of a peer."""
    return _peer_head.decode(data)


def parse_ack(data: bytes) -> AckNote:
    """A stored acknowledgement."""
    return _ack.decode(data)


Direction = Literal["in", "out"]

"""Frames: what travels on a link between two nodes (docs/formats/link.md).

A frame is a 4-byte big-endian length, one type byte, and a MessagePack array of that type's fields. Decoding is strict
(types checked, nothing unknown) and proves form only: whoever receives a frame verifies what it claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from qaztech.core.errors import Malformed

MAX_FRAME = 1024 * 1024

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Origin = Annotated[str, msgspec.Meta(min_length=1, max_length=160)]
Text = Annotated[str, msgspec.Meta(max_length=2048)]


class _Frame(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What all frames share: a fixed array of fields."""


class Accepted(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The largest head of one of the peer's logs that this node has durably accepted, with the log's signature.

    The signature lets the log's own node tell a true reminder (it signed this and lost it) from a lie.
    """

    origin: Origin
    size: Count
    root: Hash
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class Hello(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """First frame in each direction: who speaks, in which instance and protocol, for which logs."""

    version: int
    instance: Annotated[str, msgspec.Meta(max_length=64)]
    node: Text
    origin: Origin
    accepted: Annotated[list[Accepted], msgspec.Meta(max_length=64)]


class Head(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A signed head of the sender's log, with what the receiver needs to rebuild its root itself.

    `start` is the size the leaf hashes continue from. Where it is not the size of the link's last head, `frontier`
    (peaks at `start`, left to right) and `consistency` (RFC 6962 proof from the last head to this one) come along.
    """

    start: Count
    leaves: Annotated[bytes, msgspec.Meta(max_length=32 * 16384)]
    size: Count
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    frontier: Annotated[list[Hash], msgspec.Meta(max_length=64)] | None
    consistency: Annotated[list[Hash], msgspec.Meta(max_length=64)] | None


class Request(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A request record, proven by a head sent before it, with the data it commits to. `body` None: it is streamed.

    `prefix` is the request target up to and including the service code, as the caller spelt it: the provider needs it
    for X-Road's request hash, and nothing is decided by it.
    """

    stream: Count
    index: Count
    record: bytes
    secret: Hash
    prefix: bytes
    path: str
    query: bytes
    headers: bytes
    body: bytes | None


class Response(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A response record, and where the provider's log holds the request record. `body` None: it is streamed."""

    stream: Count
    index: Count
    request_index: Count
    record: bytes
    secret: Hash
    headers: bytes
    body: bytes | None


class Refused(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A refusal by the provider node: its record, and words for the caller."""

    stream: Count
    index: Count
    request_index: Count
    record: bytes
    detail: Text


class Dropped(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The peer does not take the request at all and has recorded nothing: malformed, untrusted or over a limit."""

    stream: Count
    code: Text
    detail: Text


class Ack(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The response (or refusal, or tail) with this message id is durable in the consumer's log at `index`."""

    message: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    index: Count
    response_index: Count


class Data(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A piece of a streamed body."""

    stream: Count
    data: bytes


class Tail(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The record that ends a streamed body, proven by a head sent before it."""

    stream: Count
    index: Count
    record: bytes


class Window(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The receiver of a streamed body has room for so many more bytes."""

    stream: Count
    credit: Count


class Cancel(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The sender no longer wants the rest of what streams on this stream."""

    stream: Count
    code: Text


class Question(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A question of the control kind (`proofs`, `outcome`), answered by an `Answer` of the same number."""

    number: Count
    kind: Annotated[str, msgspec.Meta(max_length=32)]
    payload: bytes


class Answer(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The answer to a `Question`; `code` is empty when it succeeded."""

    number: Count
    code: Text
    payload: bytes


class Goaway(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The sender takes no new streams on this link (it drains, or its configuration changed)."""

    code: Text


class Ping(_Frame, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Keeps the link alive; answered by a ping with `answer` true."""

    answer: bool


Frame = (
    Hello | Head | Request | Response | Refused | Dropped | Ack | Data | Tail | Window | Cancel | Question | Answer
    | Goaway | Ping
)  # fmt: skip
_TYPES: tuple[type[_Frame], ...] = (
    Hello, Head, Request, Response, Refused, Dropped, Ack, Data, Tail, Window, Cancel, Question, Answer, Goaway, Ping,
)  # fmt: skip
_NUMBERS = {kind: bytes((number,)) for number, kind in enumerate(_TYPES)}
_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in _TYPES]
_encode = msgspec.msgpack.Encoder().encode


def encode_frame(frame: Frame) -> bytes:
    """One frame as it goes on the wire."""
    payload = _encode(frame)
    return (len(payload) + 1).to_bytes(4, "big") + _NUMBERS[type(frame)] + payload


class FrameReader:
    """Cuts a byte stream into frames. Raises `Malformed`; after that the link is of no more use."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes."""
        buffer = self._buffer
        buffer += data
        position = 0
        view = memoryview(buffer)
        try:
            while len(buffer) - position >= 5:
                length = int.from_bytes(view[position : position + 4], "big")
                if not 1 <= length <= MAX_FRAME:
                    raise Malformed("link.malformed", "a frame is too long or empty", at="caller")
                end = position + 4 + length
                if len(buffer) < end:
                    break
                yield _decode(view[position + 4], view[position + 5 : end])
                position = end
        finally:
            view.release()
            del buffer[:position]


def _decode(kind: int, payload: memoryview) -> Frame:
    if kind >= len(_DECODERS):
        raise Malformed("link.malformed", "no such type of frame", at="caller")
    try:
        return _DECODERS[kind].decode(payload)  # type: ignore[return-value]  # the decoder's type is the frame's
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Malformed("link.malformed", "a frame does not have its form", at="caller", context=str(exc)) from exc

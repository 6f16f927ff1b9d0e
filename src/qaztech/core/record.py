"""Records: what a log holds of a message. A record commits, it does not disclose (docs/formats/record.md).

A record is UTF-8 text, one `name value` line a field, in the order its kind prescribes; those exact bytes are the
leaf. `parse` accepts nothing that `format` would not have written, so a record has one spelling.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from qaztech.core.errors import Malformed
from qaztech.core.exchange import MAX_RECORD, PROTOCOL_VERSION
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import METHODS, Endpoint

HEADER = f"qaztech-record {PROTOCOL_VERSION}"

Kind = Literal["request", "response", "request-tail", "response-tail", "refused", "no-answer", "aborted"]
Outcome = Literal["complete", "aborted"]
# `size` and `body` of a head whose body is streamed: the tail names them.
STREAMED = "-"
# `endpoint` of a call that needs no right: the services every node answers about itself.
NO_ENDPOINT = "-"

_FIELDS: dict[str, tuple[str, ...]] = {
    "request": (
        "message", "from", "to", "client", "service", "method", "endpoint", "snapshot", "time", "expires", "attempt",
        "size", "path", "query", "headers", "body",
    ),
    "response": (
        "message", "from", "to", "client", "service", "request", "snapshot", "time", "status", "size", "headers",
        "body",
    ),
    "request-tail": ("message", "from", "to", "head", "time", "size", "body", "outcome"),
    "response-tail": ("message", "from", "to", "head", "time", "size", "body", "outcome"),
    "refused": ("message", "from", "to", "client", "service", "request", "snapshot", "time", "code"),
    "no-answer": ("message", "from", "to", "client", "service", "request", "time", "code"),
    "aborted": ("message", "from", "to", "client", "service", "request", "time", "code"),
}  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)

_MESSAGE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_ORIGIN = re.compile(r"[a-z0-9.-]{1,100}/log/[0-9a-f]{20}\Z")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_HASH = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\Z")
_SNAPSHOT = re.compile(r"[1-9][0-9]{0,18} [0-9a-f]{64}\Z")
_CODE = re.compile(r"[a-z0-9_-]{1,64}(?:\.[a-z0-9_-]{1,64}){0,7}\Z")
_STATUS = re.compile(r"[1-5][0-9]{2}\Z")


def _hash_and_index(value: str) -> bool:
    digest, _, index = value.partition(" ")
    return bool(_HASH.match(digest) and _NUMBER.match(index))


def _is_service(value: str) -> bool:
    return str(ServiceId.parse(value)) == value


def _is_client(value: str) -> bool:
    return str(SubsystemId.parse(value)) == value


def _is_endpoint(value: str) -> bool:
    return value == NO_ENDPOINT or str(Endpoint.parse(value)) == value


_CHECKS: dict[str, Callable[[str], object]] = {
    "message": _MESSAGE.match,
    "from": _ORIGIN.match,
    "to": _ORIGIN.match,
    "client": _is_client,
    "service": _is_service,
    "method": METHODS.__contains__,
    "endpoint": _is_endpoint,
    "snapshot": _SNAPSHOT.match,
    "time": _NUMBER.match,
    "expires": _NUMBER.match,
    "attempt": _NUMBER.match,
    "size": lambda v: v == STREAMED or _NUMBER.match(v),
    "path": _HASH.match,
    "query": _HASH.match,
    "headers": _HASH.match,
    "body": lambda v: v == STREAMED or _HASH.match(v),
    "request": _hash_and_index,
    "head": _hash_and_index,
    "status": _STATUS.match,
    "code": _CODE.match,
    "outcome": get_args(Outcome).__contains__,
}
# Long values repeat from message to message (a client calls the same service): what was checked once is remembered.
_REMEMBERED = frozenset({"client", "service", "endpoint", "snapshot", "from", "to"})
_seen: dict[tuple[str, str], None] = {}
_SEEN_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its kind, its fields by name (in order), and the exact bytes that are the leaf."""

    kind: Kind
    fields: dict[str, str]
    data: bytes

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    def number(self, name: str) -> int:
        """A field that is a decimal number."""
        return int(self.fields[name])

    def commitment(self, name: str) -> bytes:
        """A field that is a 32-byte commitment."""
        return b64decode(self.fields[name])

    def bound_to(self, name: str = "request") -> tuple[bytes, int]:
        """The leaf hash and index of the record this one answers (`request`) or ends (`head`)."""
        digest, _, index = self.fields[name].partition(" ")
        return b64decode(digest), int(index)


def is_code(text: str) -> bool:
    """Whether a text may stand as `code` in a record: lower-case slugs joined by dots."""
    return _CODE.match(text) is not None


def message_bytes(text: str) -> bytes:
    """The 16 bytes of a message id that a record names."""
    return bytes.fromhex(text.replace("-", ""))


def hash_text(digest: bytes) -> str:
    """A hash or commitment as it stands in a record."""
    return b64encode(digest).decode()


def format_record(kind: Kind, **fields: str | int) -> Record:
    """Make a record from its fields, which the caller has in their forms; `from` is given as `from_`.

    Nothing is checked: this is the data plane's own hand, and `parse_record` is what others' records go through.
    """
    lines = [HEADER, f"kind {kind}"]
    text: dict[str, str] = {}
    for name in _FIELDS[kind]:
        value = str(fields["from_" if name == "from" else name])
        text[name] = value
        lines.append(f"{name} {value}")
    lines.append("")
    return Record(kind, text, "\n".join(lines).encode())


def parse_record(data: bytes) -> Record:
    """Read a record from its exact bytes; raises `Malformed` for anything `format_record` would not write."""
    if len(data) > MAX_RECORD:
        raise Malformed("record.malformed", f"a record has at most {MAX_RECORD} bytes")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as exc:
        raise Malformed("record.malformed", "a record is UTF-8 text") from exc
    if len(lines) < 3 or lines[0] != HEADER or lines[-1] or not lines[1].startswith("kind "):
        raise Malformed("record.malformed", f"a record begins with {HEADER!r} and ends with a newline")
    kind = lines[1][5:]
    names = _FIELDS.get(kind)
    if names is None or len(lines) != len(names) + 3:
        raise Malformed("record.malformed", f"no such kind of record, or not its fields: {kind[:40]!r}")
    fields: dict[str, str] = {}
    for name, line in zip(names, lines[2:-1], strict=True):
        label, _, value = line.partition(" ")
        if label != name or not _is_valid(name, value):
            raise Malformed("record.malformed", f"field {name!r} of a {kind} record is missing or not well-formed")
        fields[name] = value
    if kind in {"request-tail", "response-tail"} and STREAMED in {fields["size"], fields["body"]}:
        raise Malformed("record.malformed", "a tail names size and body")
    if "body" in fields and (fields["size"] == STREAMED) != (fields["body"] == STREAMED):
        raise Malformed("record.malformed", "size and body are streamed together or not at all")
    return Record(kind, fields, data)  # type: ignore[arg-type]


def _is_valid(name: str, value: str) -> bool:
    if name not in _REMEMBERED:
        return bool(_CHECKS[name](value))
    if (name, value) in _seen:
        return True
    try:
        valid = bool(_CHECKS[name](value))
    except Malformed:
        return False
    if valid:
        if len(_seen) >= _SEEN_LIMIT:
            _seen.clear()
        _seen[name, value] = None
    return valid

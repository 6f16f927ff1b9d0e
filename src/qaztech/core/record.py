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

# One pattern a field; what is checked beyond it is in `_PARSED`.
_HASH = r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_ORIGIN = r"[a-z0-9.-]{1,100}/log/[0-9a-f]{20}"
_SLUGS = r"[a-z0-9_-]{1,64}(?:\.[a-z0-9_-]{1,64}){0,7}"
_FORMS = {
    "message": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "from": _ORIGIN,
    "to": _ORIGIN,
    "client": r"[^\n]{1,4096}",
    "service": r"[^\n]{1,4096}",
    "method": "|".join(METHODS),
    "endpoint": r"[^\n]{1,4096}",
    "snapshot": r"[1-9][0-9]{0,18} [0-9a-f]{64}",
    "time": _NUMBER,
    "expires": _NUMBER,
    "attempt": _NUMBER,
    "size": f"-|{_NUMBER}",
    "path": _HASH,
    "query": _HASH,
    "headers": _HASH,
    "body": f"-|{_HASH}",
    "request": f"{_HASH} {_NUMBER}",
    "head": f"{_HASH} {_NUMBER}",
    "status": r"[1-5][0-9]{2}",
    "code": _SLUGS,
    "outcome": "|".join(get_args(Outcome)),
}
_PATTERNS = {
    kind: re.compile(
        "".join([f"{HEADER}\nkind {kind}\n", *(f"{name} ({_FORMS[name]})\n" for name in names)]) + r"\Z", re.ASCII
    )
    for kind, names in _FIELDS.items()
}
_TEMPLATES = {
    kind: f"{HEADER}\nkind {kind}\n" + "".join(f"{name} %s\n" for name in names) for kind, names in _FIELDS.items()
}
_KEYS = {kind: tuple("from_" if name == "from" else name for name in names) for kind, names in _FIELDS.items()}
_CODE = re.compile(_SLUGS + r"\Z")


def _is_service(value: str) -> bool:
    return str(ServiceId.parse(value)) == value


def _is_client(value: str) -> bool:
    return str(SubsystemId.parse(value)) == value


def _is_endpoint(value: str) -> bool:
    return value == NO_ENDPOINT or str(Endpoint.parse(value)) == value


_PARSED: dict[str, Callable[[str], bool]] = {
    "client": _is_client,
    "service": _is_service,
    "endpoint": _is_endpoint,
}
# These repeat from message to message (a client calls the same service): what was read once is remembered.
_TO_PARSE = {kind: tuple(name for name in names if name in _PARSED) for kind, names in _FIELDS.items()}
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
    values = [str(fields[name]) for name in _KEYS[kind]]
    return Record(kind, dict(zip(_FIELDS[kind], values, strict=True)), (_TEMPLATES[kind] % tuple(values)).encode())


def parse_record(data: bytes) -> Record:
    """Read a record from its exact bytes; raises `Malformed` for anything `format_record` would not write."""
    if len(data) > MAX_RECORD:
        raise Malformed("record.malformed", f"a record has at most {MAX_RECORD} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise Malformed("record.malformed", "a record is UTF-8 text") from exc
    kind = text[len(HEADER) + 6 : text.find("\n", len(HEADER) + 6)]
    pattern = _PATTERNS.get(kind)
    if pattern is None:
        raise Malformed("record.malformed", f"a record begins with {HEADER!r} and its kind: {kind[:40]!r}")
    match = pattern.match(text)
    if match is None:
        raise Malformed("record.malformed", f"not the fields of a {kind} record, in their order and forms")
    fields = dict(zip(_FIELDS[kind], match.groups(), strict=True))
    for name in _TO_PARSE[kind]:
        if (name, fields[name]) not in _seen:
            _read(name, fields[name])
    if "body" in fields:
        streamed = fields["size"] == STREAMED
        if streamed != (fields["body"] == STREAMED):
            raise Malformed("record.malformed", "size and body are streamed together or not at all")
        if streamed and "head" in fields:
            raise Malformed("record.malformed", "a tail names size and body")
    return Record(kind, fields, data)  # type: ignore[arg-type]


def _read(name: str, value: str) -> None:
    try:
        valid = _PARSED[name](value)
    except Malformed:
        valid = False
    if not valid:
        raise Malformed("record.malformed", f"field {name!r} is not well-formed")
    if len(_seen) >= _SEEN_LIMIT:
        _seen.clear()
    _seen[name, value] = None

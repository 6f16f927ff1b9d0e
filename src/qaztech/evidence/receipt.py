"""The receipt's form: one JSON file with all that is needed to check one exchange offline (docs/formats/receipt.md).

Parsing proves form only, and is strict: no name stands twice, no member is unknown, no base64 has two spellings.
Nothing a receipt says of itself is believed; what it proves is found by `examination` and `registry.verification`.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, get_args

import msgspec

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, SECRET_SIZE
from qaztech.core.errors import Malformed
from qaztech.evidence.note import parse_base64

FORMAT: Final = "qaztech-receipt 1"
MAX_RECEIPT: Final = 4 * 1024 * 1024
MAX_MESSAGES: Final = 8
MAX_LISTED: Final = 64

Role = Literal["request", "response"]
State = Literal["one-sided", "recorded", "witnessed", "timestamped", "sealed"]
Field = Literal["path", "query", "headers", "body"]
STATES: Final[tuple[State, ...]] = get_args(State)  # from the weakest to the strongest

_CODE: Final = "receipt.malformed"
_FIELDS: Final = {"request": {PATH, QUERY, HEADERS, BODY}, "response": {HEADERS, BODY}}
_SURROGATE: Final = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


class _Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log: str
    proof: str


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    record: str
    proofs: tuple[_Proof, ...]


class ListedLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log or a witness as the receipt lists it, for people and tools."""

    origin: str
    member: str | None
    vkeys: tuple[str, ...]


class _Timestamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log: str
    note: str
    token: str


class _Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log: str
    note: str
    seal: str


class _Disclosure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    role: Role
    field: Field
    salt: str
    value: str | msgspec.UnsetType = msgspec.UNSET


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    message: str
    messages: tuple[_Message, ...]
    logs: tuple[ListedLog, ...]
    configuration: dict[str, Any]
    timestamps: tuple[_Timestamp, ...]
    seals: tuple[_Seal, ...]
    disclosure: tuple[_Disclosure, ...]
    state: State


@dataclass(frozen=True, slots=True)
class Message:
    """One record's exact bytes, its role, and by log origin the tlog-proofs given for it."""

    role: Role
    record: bytes
    proofs: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Token:
    """A timestamp token, or a seal, and the note of the log over whose exact bytes it says to be made."""

    log: str
    note: bytes
    token: bytes


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A salt that the holder chose to show, and the value it opens the commitment to; never the value of a body."""

    role: Role
    field: Field
    salt: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A parsed receipt. Nothing in it is verified."""

    message: str
    messages: tuple[Message, ...]
    logs: tuple[ListedLog, ...]
    configuration: dict[str, Any]
    timestamps: tuple[Token, ...]
    seals: tuple[Token, ...]
    disclosure: tuple[Disclosure, ...]
    state: State

    def disclosed(self, role: Role, field: Field) -> Disclosure | None:
        """What was disclosed of one field of one message."""
        return next((d for d in self.disclosure if (d.role, d.field) == (role, field)), None)


def parse_receipt(data: bytes) -> Receipt:
    """The receipt in these bytes, unverified; raises `Malformed`."""
    if len(data) > MAX_RECEIPT:
        _malformed(f"a receipt has at most {MAX_RECEIPT} bytes")
    try:
        form = msgspec.convert(_load(data), _Form)
    except (ValueError, RecursionError, OverflowError) as exc:  # what is not UTF-8, not JSON, not of this form
        raise Malformed(_CODE, f"not a receipt: {str(exc)[:200]}") from exc
    if form.format != FORMAT:
        _malformed(f"the format is not {FORMAT!r}")
    _bounded("messages", form.messages, MAX_MESSAGES)
    for name in ("logs", "timestamps", "seals", "disclosure"):
        _bounded(name, getattr(form, name), MAX_LISTED)
    if not form.messages:
        _malformed("a receipt has at least one message")
    _unique("a log", [log.origin for log in form.logs])
    _unique("a disclosed field", [(d.role, d.field) for d in form.disclosure])
    return Receipt(
        message=form.message,
        messages=tuple(map(_message, form.messages)),
        logs=form.logs,
        configuration=form.configuration,
        timestamps=tuple(Token(t.log, t.note.encode(), _base64(t.token)) for t in form.timestamps),
        seals=tuple(Token(s.log, s.note.encode(), _base64(s.seal)) for s in form.seals),
        disclosure=tuple(map(_disclosure, form.disclosure)),
        state=form.state,
    )


def format_receipt(receipt: Receipt) -> bytes:
    """The receipt as compact JSON."""
    return msgspec.json.encode(
        _Form(
            format=FORMAT,
            message=receipt.message,
            messages=tuple(
                _Message(m.role, _text(m.record), tuple(_Proof(log, p.decode()) for log, p in m.proofs.items()))
                for m in receipt.messages
            ),
            logs=receipt.logs,
            configuration=receipt.configuration,
            timestamps=tuple(_Timestamp(t.log, t.note.decode(), _text(t.token)) for t in receipt.timestamps),
            seals=tuple(_Seal(s.log, s.note.decode(), _text(s.token)) for s in receipt.seals),
            disclosure=tuple(
                _Disclosure(d.role, d.field, _text(d.salt), msgspec.UNSET if d.value is None else _text(d.value))
                for d in receipt.disclosure
            ),
            state=receipt.state,
        )
    )


def _load(data: bytes) -> object:
    """JSON with one meaning: UTF-8, no name twice in an object, no fractions, no halves of characters."""
    text = data.decode()
    found: object = json.loads(text, object_pairs_hook=_object, parse_float=_fraction, parse_constant=_fraction)
    if _SURROGATE.search(text):
        json.dumps(found, ensure_ascii=False).encode()  # raises UnicodeEncodeError where only half a pair stands
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _malformed("a name stands twice in one object")
    return found


def _fraction(text: str) -> NoReturn:
    _malformed(f"numbers are whole: {text[:40]!r}")


def _message(part: _Message) -> Message:
    _unique("a log of a message", [proof.log for proof in part.proofs])
    return Message(part.role, _base64(part.record), {proof.log: proof.proof.encode() for proof in part.proofs})


def _disclosure(part: _Disclosure) -> Disclosure:
    if part.field not in _FIELDS[part.role]:
        _malformed(f"a {part.role} has no {part.field}")
    if (part.value is msgspec.UNSET) != (part.field == BODY):
        _malformed("a field is disclosed with its value, a body without it")
    salt = _base64(part.salt)
    if len(salt) != SECRET_SIZE:
        _malformed(f"a salt has {SECRET_SIZE} bytes")
    return Disclosure(part.role, part.field, salt, _base64(part.value) if isinstance(part.value, str) else None)


def _bounded(name: str, values: tuple[object, ...], limit: int) -> None:
    if len(values) > limit:
        _malformed(f"`{name}` has at most {limit} entries")


def _unique(what: str, values: list[Any]) -> None:
    if len(set(values)) != len(values):
        _malformed(f"{what} stands twice")


def _base64(text: str) -> bytes:
    return parse_base64(text, _CODE)


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _malformed(why: str) -> NoReturn:
    raise Malformed(_CODE, why)

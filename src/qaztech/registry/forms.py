"""What the registry's JSON forms share: strict decoding, one spelling, and the shapes that recur in them.

A form is a msgspec structure; `decode` refuses unknown fields and anything `encode` would not have written, so that
every statement has exactly one spelling and no two readers can see two meanings (a doubled name, say) in it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import NoReturn, TypeVar

import msgspec

from qaztech.core.errors import Malformed

SHA256_HEX = re.compile(r"[0-9a-f]{64}\Z")
ORIGIN = re.compile(r"[a-z0-9.-]{1,100}/log/([0-9a-f]{20})\Z")
MAX_NAME = 500
# Milliseconds since 1970 as they fit every reader's number: up to the year 9999.
MAX_TIME = 253_402_300_799_000
MAX_VERSION = 2**53 - 1

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of every form: immutable, unknown fields refused."""


class Names(Form, frozen=True, forbid_unknown_fields=True):
    """A name in the three languages of the country."""

    kk: str
    ru: str
    en: str

    def check(self, code: str) -> None:
        """Raise `Malformed` unless each is a line of text."""
        for name in (self.kk, self.ru, self.en):
            if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
                malformed(code, f"a name has 1 to {MAX_NAME} printable characters in each language")


def malformed(code: str, detail: str) -> NoReturn:
    """Raise `Malformed`."""
    raise Malformed(code, detail, at="registry")


def encode(form: msgspec.Struct) -> bytes:
    """The one spelling of a form: compact JSON, fields in the order of its definition."""
    return msgspec.json.encode(form)


def decode(kind: type[StructT], data: bytes, *, code: str, limit: int) -> StructT:
    """Read a form; raises `Malformed` with this code for anything `encode` would not have written."""
    if len(data) > limit:
        malformed(code, f"longer than the {limit} bytes allowed")
    try:
        form = msgspec.json.decode(data, type=kind)
        same = msgspec.json.encode(form) == data
    except (msgspec.DecodeError, msgspec.EncodeError, UnicodeError, RecursionError, OverflowError) as exc:
        raise Malformed(code, f"not the form expected: {str(exc)[:200]}", at="registry") from exc
    if not same:
        malformed(code, "not the one spelling of this form (compact JSON, fields in order)")
    return form


def fixed(text: str, size: int, code: str, what: str) -> bytes:
    """So many bytes from canonical base64; raises `Malformed`."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as exc:
        raise Malformed(code, f"the {what} is not base64", at="registry") from exc
    if len(data) != size or b64encode(data).decode() != text:
        malformed(code, f"the {what} is not {size} bytes in canonical base64")
    return data


def bytes32(text: str, code: str, what: str) -> bytes:
    """A hash or an Ed25519 key from canonical base64; raises `Malformed`."""
    return fixed(text, 32, code, what)


def base64(data: bytes) -> str:
    """Standard, padded base64."""
    return b64encode(data).decode()


def check_hex(text: str, code: str, what: str) -> None:
    """Raise `Malformed` unless this is 64 lower-case hex digits."""
    if not SHA256_HEX.match(text):
        malformed(code, f"the {what} is not 64 lower-case hex digits")


def check_time(value: int, code: str) -> None:
    """Raise `Malformed` unless this is a time in milliseconds."""
    if not 0 <= value <= MAX_TIME:
        malformed(code, "a time is milliseconds since 1970, up to the year 9999")

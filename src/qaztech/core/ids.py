"""Identifiers: `INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE`, each part percent-encoded apart.

The hierarchy and the encoding are X-Road's (PR-REST 4.1). Bytes become identifiers in `parse`, leave by `str()`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self
from urllib.parse import quote, unquote_to_bytes

from qaztech.core.errors import Malformed

# What the code of X-Road warns about is refused here: control characters, `% : ; / \`, zero-width space, BOM.
_BAD_PART = re.compile(r"[\x00-\x1f\x7f-\x9f%:;/\\\u200b\ufeff\u2028\u2029]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
MAX_PART = 255


def decode_part(part: str) -> str:
    """One percent-encoded identifier part, decoded and checked; raises `Malformed`."""
    if _BAD_ESCAPE.search(part):
        raise Malformed("identifier.malformed", "bad percent-encoding in an identifier", at="caller")
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeError as exc:
        raise Malformed("identifier.malformed", "an identifier part is not UTF-8", at="caller") from exc
    if not text or len(text) > MAX_PART:
        raise Malformed("identifier.malformed", "an identifier part is empty or too long", at="caller")
    if _BAD_PART.search(text) or text in {".", ".."}:
        raise Malformed("identifier.malformed", "an identifier part has a character that is not allowed", at="caller")
    return text


@lru_cache(maxsize=4096)
def encode_part(part: str) -> str:
    """One identifier part as it stands in a URL, a header or a record."""
    return quote(part, safe="'()+,-.=?!*~_")


def _split(text: str, count: int, what: str) -> list[str]:
    parts = text.split("/")
    if len(parts) != count:
        raise Malformed("identifier.malformed", f"a {what} identifier has {count} parts, not {len(parts)}", at="caller")
    return [decode_part(p) for p in parts]


@dataclass(frozen=True, slots=True, order=True)
class MemberId:
    """An organisation: instance, member class, member code (its BIN)."""

    instance: str
    member_class: str
    code: str
    # Identifiers are keys in every decision: hash and text are computed once.
    _hash: int = field(init=False, repr=False, compare=False)
    _text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.instance, self.member_class, self.code)))
        object.__setattr__(self, "_text", "/".join(map(encode_part, (self.instance, self.member_class, self.code))))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `INSTANCE/CLASS/CODE`; raises `Malformed`."""
        return cls(*_split(text, 3, "member"))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, order=True)
class SubsystemId:
    """An information system of a member."""

    member: MemberId
    code: str
    _hash: int = field(init=False, repr=False, compare=False)
    _text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.member, self.code)))
        object.__setattr__(self, "_text", f"{self.member}/{encode_part(self.code)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `INSTANCE/CLASS/CODE/SUBSYSTEM`; raises `Malformed`."""
        *member, code = _split(text, 4, "subsystem")
        return cls(MemberId(*member), code)

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """A service of a subsystem."""

    subsystem: SubsystemId
    code: str
    _hash: int = field(init=False, repr=False, compare=False)
    _text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.subsystem, self.code)))
        object.__setattr__(self, "_text", f"{self.subsystem}/{encode_part(self.code)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `INSTANCE/CLASS/CODE/SUBSYSTEM/SERVICE`; raises `Malformed`."""
        *member, subsystem, code = _split(text, 5, "service")
        return cls(SubsystemId(MemberId(*member), subsystem), code)

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, order=True)
class NodeId:
    """A node (X-Road: security server): the member that runs it and its code."""

    member: MemberId
    code: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `INSTANCE/CLASS/CODE/NODE`; raises `Malformed`."""
        *member, code = _split(text, 4, "node")
        return cls(MemberId(*member), code)

    def __str__(self) -> str:
        return f"{self.member}/{encode_part(self.code)}"

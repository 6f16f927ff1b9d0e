"""Access rights: method and path pattern, and whether a call is covered by one. Pure decisions.

In a path pattern `*` stands for one segment (possibly empty) and a final or inner `**` for any number of segments,
none included. Everything else is compared as it stands after percent-decoding of unreserved characters only, so that
`/a%2Fb` never passes for `/a/b`; and a path must be covered, too, as a system reads it that decodes escaped separators,
so that `/a/*` does not give it `/a/b/c` by way of `/a/b%2Fc`. A path with `.` or `..` segments, in whatever reading,
matches nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from qaztech.core.errors import Malformed

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
_PATTERN = re.compile(r"/[!-~]*\Z")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


def normal_path(path: str) -> str:
    """The path with escapes of unreserved characters undone and the others in upper case (RFC 3986, 6.2.2)."""

    def undo(match: re.Match[str]) -> str:
        value = int(match[1], 16)
        return chr(value) if value in _UNRESERVED else "%" + match[1].upper()

    return _ESCAPE.sub(undo, path) if "%" in path else path


# What some system behind may yet read as a separator, once it has decoded the path its own way.
_SEPARATOR = re.compile(r"/|%2F|%5C|\\", re.IGNORECASE)
_SEPARATORS = re.compile(rf"(?:{_SEPARATOR.pattern})+", re.IGNORECASE)


def climbs(path: str) -> bool:
    """Whether a path has a `.` or `..` segment in any reading: escaped separators, `;parameters`, double escapes."""
    if "." not in path and "%2" not in path:
        return False
    plain = path.replace("%25", "%").replace("%2E", ".").replace("%2e", ".")
    return any(segment.partition(";")[0] in {".", ".."} for segment in _SEPARATOR.split(plain))


def merged(path: str) -> str:
    """The path as a system may read it that decodes escaped separators and takes several in a row for one."""
    if "//" not in path and "%" not in path and "\\" not in path:
        return path
    return _SEPARATORS.sub("/", path.replace("%25", "%"))


@lru_cache(maxsize=4096)
def _segments(pattern: str) -> tuple[str, ...]:
    return tuple(s if s in {"*", "**"} else normal_path(s) for s in pattern.split("/")[1:])


def _matches(pattern: tuple[str, ...], path: list[str]) -> bool:
    """Segment by segment; on a mismatch only the last `**` takes one more, so the cost is bounded by the product."""
    i = j = 0
    resume = -1
    mark = 0
    while j < len(path):
        if i < len(pattern) and pattern[i] == "**":
            resume, mark = i, j
            i += 1
        elif i < len(pattern) and (pattern[i] == "*" or pattern[i] == path[j]):
            i += 1
            j += 1
        elif resume >= 0:
            mark += 1
            i, j = resume + 1, mark
        else:
            return False
    return all(segment == "**" for segment in pattern[i:])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a right covers: a method (`*` for any) and a path pattern."""

    method: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `METHOD /pattern`; raises `Malformed`."""
        method, space, path = text.partition(" ")
        if not space or (method != "*" and method not in METHODS):
            raise Malformed("endpoint.malformed", f"not an endpoint: {text[:80]!r}")
        segments = path.split("/")
        if not _PATTERN.match(path) or any("*" in s and s not in {"*", "**"} for s in segments) or "?" in path:
            raise Malformed("endpoint.malformed", f"not a path pattern: {path[:80]!r}")
        if segments.count("**") > 2:
            raise Malformed("endpoint.malformed", "a path pattern has at most two `**`")
        return cls(method, path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def covers(self, method: str, path: str) -> bool:
        """Whether a call of `method` on `path` (no query) falls under this endpoint."""
        if self.method not in {"*", method}:
            return False
        path = normal_path(path)
        if climbs(path) or not _matches(_segments(self.path), path.split("/")[1:]):
            return False
        other = merged(path)
        return other == path or _matches(_segments(merged(normal_path(self.path))), other.split("/")[1:])

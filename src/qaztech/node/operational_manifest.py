"""The manifest of a delivery of operational data: which leaves, between which witnessed checkpoints, in which files.

Parsing proves form only; what it claims is checked by whoever receives it. One manifest has one spelling
(docs/formats/operational-data.md).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from qaztech.core.errors import Malformed
from qaztech.evidence.checkpoint import MAX_SIZE
from qaztech.node.operational_rows import LEAF_KINDS

FORMAT: Final = "qaztech-operational 1"
MAX_MANIFEST: Final = 256 * 1024
# Days that one delivery may touch; a node that was silent for longer delivers more than once.
MAX_PARTS: Final = 64
_ORIGIN: Final = re.compile(r"[a-z0-9.-]{1,100}/log/[0-9a-f]{20}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The leaves [start, stop), all recorded on one day (UTC), in one Parquet file of `length` bytes."""

    date: str
    start: int
    stop: int
    length: int
    sha256: str

    def name(self, origin: str) -> str:
        """Where the file stands in a store: the day's folder, and a name of its own."""
        return f"date={self.date}/{part_name(origin, self.start, self.stop)}"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a delivery says of itself.

    `before` is the witnessed checkpoint of size `start` (empty at 0), `after` of size `stop`; `kinds` counts the leaves
    of each kind.
    """

    format: str
    origin: str
    start: int
    stop: int
    before: str
    after: str
    kinds: dict[str, int]
    parts: list[Part]

    @property
    def length(self) -> int:
        """Bytes of all its files."""
        return sum(part.length for part in self.parts)


def format_manifest(manifest: Manifest) -> bytes:
    """The manifest as it travels: one line of JSON, ended by U+000A."""
    return msgspec.json.encode(manifest) + b"\n"


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes. Raises `Malformed` for all that `format_manifest` would not have written."""
    if len(data) > MAX_MANIFEST:
        raise _malformed(f"a manifest has at most {MAX_MANIFEST} bytes")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(str(exc)[:200]) from exc
    if manifest.format != FORMAT or format_manifest(manifest) != data:
        raise _malformed(f"it begins with {FORMAT!r}, and has one spelling")
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    if not _ORIGIN.fullmatch(manifest.origin):
        raise _malformed("not the origin of a log")
    if not 0 <= manifest.start < manifest.stop <= MAX_SIZE:
        raise _malformed("it begins before it ends, and holds at least one leaf")
    kinds = manifest.kinds
    if list(kinds) != sorted(kinds) or not kinds.keys() <= set(LEAF_KINDS) or min(kinds.values(), default=0) < 1:
        raise _malformed("kinds are counted in alphabetical order, those that occur")
    if sum(kinds.values()) != manifest.stop - manifest.start:
        raise _malformed("the kinds do not add up to the leaves")
    if not 1 <= len(manifest.parts) <= MAX_PARTS:
        raise _malformed(f"a delivery has 1 to {MAX_PARTS} parts")
    at, date = manifest.start, ""
    for part in manifest.parts:
        if not _is_date(part.date) or part.date <= date or not _SHA256.fullmatch(part.sha256) or part.length < 1:
            raise _malformed("a part has a day later than the one before, a length and a SHA-256")
        if part.start != at or part.stop <= at:
            raise _malformed("the parts do not cover the leaves one after the other")
        at, date = part.stop, part.date
    if at != manifest.stop:
        raise _malformed("the parts do not cover the leaves")


def part_name(origin: str, start: int, stop: int) -> str:
    """The name of a part's file, which sorts by log and place; no two origins have names in common."""
    return f"part-{log_name(origin)}-{start:016d}-{stop:016d}.parquet"


def log_name(origin: str) -> str:
    """An origin as it stands in names of files: whole, for its last part is its writer's to choose."""
    return origin.replace("/", "_")


def date_of(day: int) -> str:
    """A day counted from 1970-01-01, as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def day_named(date: str) -> int:
    """The day that `YYYY-MM-DD` names, counted from 1970-01-01. Raises `ValueError`."""
    return int(datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // 86_400


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and day_named(text) >= 0
    except ValueError:
        return False


def _malformed(why: str) -> Malformed:
    return Malformed("operational.manifest", f"not a manifest of operational data: {why}", at="caller")

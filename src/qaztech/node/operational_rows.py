"""Operational data: one row for each leaf of a log, made from the leaf alone (docs/formats/operational-data.md).

Everything in a row but `recorded` follows from the bytes of the leaf, so whoever holds the row can make it again and
compare. No header, path, query, user or address is in it: the leaf has none. Not here: files (`operational_parquet`),
what stands between two rows (the centre joins them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from qaztech.core.errors import Malformed
from qaztech.core.record import KINDS, STREAMED, Record, parse_record
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.view import StoredEntry

# Leaves that are no records: the first of a log that continues another, and whatever else a log may hold.
CONTINUES: Final = "continues"
FOREIGN: Final = "foreign"
LEAF_KINDS: Final = (*KINDS, CONTINUES, FOREIGN)
_NOTHING: Final = (None,) * 15
_CONTINUES_HEADER: Final = b"qaztech-log-continues 1\n"
DAY: Final = 86_400_000


class Row(NamedTuple):
    """One leaf: where it stands, when the log took it, what it says; None where its kind says nothing of that.

    `recorded` is in milliseconds and the log's own statement; `time` is the record's. `bound_leaf` and `bound_place`
    name the record that this one answers or ends. `size` is in bytes, None in a head whose body streams.
    """

    log: str
    place: int
    leaf: bytes
    recorded: int
    kind: str
    message: str | None
    maker: str | None
    receiver: str | None
    client: str | None
    service: str | None
    method: str | None
    endpoint: str | None
    time: int | None
    attempt: int | None
    size: int | None
    status: int | None
    code: str | None
    outcome: str | None
    bound_leaf: bytes | None
    bound_place: int | None
    record: bytes


class ReadableLog(Protocol):
    """A log, read entry by entry."""

    origin: str

    def read(self, index: int) -> StoredEntry:
        """One entry, checked against its leaf hash."""
        ...


def row_of(log: str, index: int, recorded: int, data: bytes) -> Row:
    """The row of one leaf, from its bytes. Never raises: a leaf that is no record is a row of another kind."""
    try:
        record = parse_record(data)
    except Malformed:
        kind = CONTINUES if data.startswith(_CONTINUES_HEADER) else FOREIGN
        return Row(log, index, leaf_hash(data), recorded, kind, *_NOTHING, record=data)
    get = record.fields.get
    bound = _bound(record)
    return Row(
        log=log,
        place=index,
        leaf=leaf_hash(data),
        recorded=recorded,
        kind=record.kind,
        message=get("message"),
        maker=get("from"),
        receiver=get("to"),
        client=get("client"),
        service=get("service"),
        method=get("method"),
        endpoint=get("endpoint"),
        time=_small(get("time")),
        attempt=_small(get("attempt")),
        size=None if get("size", STREAMED) == STREAMED else _small(get("size")),
        status=_small(get("status")),
        code=get("code"),
        outcome=get("outcome"),
        bound_leaf=bound[0] if bound else None,
        bound_place=bound[1] if bound else None,
        record=data,
    )


def rows(log: ReadableLog, start: int, stop: int) -> Iterator[Row]:
    """The rows of the leaves [start, stop), every index once, in order. Raises `Halt` where the disk is damaged."""
    for index in range(start, stop):
        entry = log.read(index)
        yield row_of(log.origin, index, entry.time, entry.data)


def day_of(recorded: int) -> int:
    """The day (UTC, counted from 1970-01-01) that a time in milliseconds is in."""
    return recorded // DAY


def _bound(record: Record) -> tuple[bytes, int] | None:
    for name in ("request", "head"):
        if name in record.fields:
            leaf, index = record.bound_to(name)
            return leaf, min(index, _MOST)
    return None


# Fields have up to 19 digits, columns 63 bits: what is beyond is a lie, and stays one.
_MOST: Final = 2**63 - 1


def _small(text: str | None) -> int | None:
    return None if text is None else min(int(text), _MOST)

"""Counting exchanges: from the rows of all logs to one line for each exchange, to totals; to each what it may see.

An exchange is a request with what the same log says became of it. Where both sides delivered, the consumer's side
counts, so nothing is counted twice. DuckDB reads the Parquet files and nothing else. Not here: whether the sides agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from qaztech.core.errors import Malformed, Unavailable
from qaztech.core.ids import MemberId
from qaztech.hub.crosscheck import GRACE, Finding, Party, cross_check
from qaztech.node.operational_manifest import date_of
from qaztech.node.operational_parquet import COLUMNS, connect, engine, quoted
from qaztech.node.operational_rows import Row, day_of

# Kazakhstan's time since 2024-03-01 (UTC+5): days of reports begin at its midnight.
DAY_BEGINS: Final = 5 * 3_600_000
# Findings of one code against one log that are given at a time.
MOST_FINDINGS: Final = 100
# How far an answer may stand from its request, in days of the partitions.
_AROUND: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: a member sees the calls it made and the calls of its services; the centre (no member) sees all."""

    member: MemberId | None


CENTRE: Final = Viewer(member=None)


class Exchange(NamedTuple):
    """One exchange as one log tells it.

    Times in milliseconds since 1970, `duration` in milliseconds between this log's records of the request and of its
    end; sizes in bytes; None where nothing says. `outcome` is answered, refused, no-answer, aborted or unfinished.
    """

    log: str
    side: str
    leaf: bytes
    message: str
    client: str
    service: str
    method: str
    endpoint: str
    provider: str
    time: int
    duration: int | None
    request_size: int | None
    response_size: int | None
    status: int | None
    code: str | None
    outcome: str


class Total(NamedTuple):
    """The exchanges of one client with one service on one day: how many, how many of them ended well, bytes, time.

    What became of the `unfinished` ones has not been delivered yet: they are neither failures nor successes.
    """

    day: str
    client: str
    service: str
    calls: int
    succeeded: int
    refused: int
    unanswered: int
    request_bytes: int
    response_bytes: int
    mean_ms: float | None
    unfinished: int = 0


def sees(viewer: Viewer, client: str | None, service: str | None) -> bool:
    """Whether a viewer may see an exchange of this client with this service."""
    if viewer.member is None:
        return True
    own = f"{viewer.member}/"
    return (client or "").startswith(own) or (service or "").startswith(own)


def visible(rows: Iterable[Row], viewer: Viewer) -> Iterator[Row]:
    """The rows that a viewer may see. A tail belongs to whom the head belongs to that it ends."""
    kept = list(rows)
    parties = {row.leaf: (row.client, row.service) for row in kept if row.client is not None}
    for row in kept:
        client, service = (row.client, row.service) if row.client else parties.get(row.bound_leaf or b"", (None, None))
        if sees(viewer, client, service):
            yield row


class Traffic:
    """The rows in Parquet files, as one table. `files` names those of some days, first and last included."""

    def __init__(self, directory: Path, files: Callable[[str, str], Sequence[str]]) -> None:
        self._directory = directory
        self._listed = files

    def exchanges(
        self, viewer: Viewer, since: int, until: int, *, limit: int = 1000, service: str | None = None
    ) -> list[Exchange]:
        """Exchanges that began in [since, until) (with one service, if given), the latest first."""
        names = ", ".join(Exchange._fields)
        tail = f"SELECT {names} FROM seen WHERE ? IN ('', service) ORDER BY time DESC, message LIMIT {int(limit)}"  # noqa: S608
        return [Exchange(*values) for values in self._ask(viewer, since, until, tail, service or "")]

    def totals(self, viewer: Viewer, since: int, until: int, *, day_begins: int = DAY_BEGINS) -> list[Total]:
        """Totals by day, client and service of the exchanges that began in [since, until)."""
        tail = f"""
            SELECT strftime(make_timestamp((time + {int(day_begins)}) * 1000), '%Y-%m-%d') AS day, client, service,
                count(*), count(*) FILTER (outcome = 'answered' AND status < 400),
                count(*) FILTER (outcome = 'refused'),
                count(*) FILTER (outcome IN ('no-answer', 'aborted')),
                coalesce(sum(request_size), 0)::BIGINT, coalesce(sum(response_size), 0)::BIGINT, avg(duration),
                count(*) FILTER (outcome = 'unfinished')
            FROM seen GROUP BY ALL ORDER BY ALL"""  # noqa: S608  # a whole number
        return [Total(*values) for values in self._ask(viewer, since, until, tail)]

    def callers(
        self, endings: Sequence[str], services: Sequence[str], since: int, until: int
    ) -> list[tuple[str, str, int, int]]:
        """Who posted to which of some services and was answered: client, service, calls, the last one (ms).

        The services are those given, and those of which some right that was used names a path that ends so.
        """
        tail = """
            SELECT client, service, count(*), max(time) FROM seen
            WHERE outcome = 'answered' AND status < 400 AND method = 'POST' AND (
                list_contains(?::VARCHAR[], service)
                OR service IN (SELECT service FROM seen WHERE regexp_matches(endpoint, ?))
            ) GROUP BY ALL ORDER BY ALL"""
        pattern = f"({'|'.join(map(re.escape, endings))})$"
        found = self._ask(CENTRE, since, until, tail, list(services), pattern)
        return [(client, service, calls, last) for client, service, calls, last in found]

    def of_message(self, message: str) -> list[Row]:
        """All rows of one message in every log, by log and place. Raises `Malformed` for what is no id of a message.

        Its id says when it was made (RFC 9562, version 7), and it is looked for there first; whoever made an id that
        says something else is found all the same, only later.
        """
        if not _MESSAGE.match(message):
            raise Malformed("operational.message", "not the id of a message", at="caller")
        made = min(int(message.replace("-", "")[:12], 16), _LATEST)
        return self._of_message(message, made, made) or self._of_message(message, 0, _LATEST)

    def _of_message(self, message: str, since: int, until: int) -> list[Row]:
        query = f"SELECT {_COLUMNS} FROM rows WHERE message = ? ORDER BY log, place"  # noqa: S608  # our own columns
        with self._opened(since, until) as connection:
            return [Row(*values) for values in connection.execute(query, [message]).fetchall()]

    def rows(self, since: int, until: int) -> list[Row]:
        """All rows recorded in [since, until), by log and place."""
        query = f"SELECT {_COLUMNS} FROM rows WHERE recorded >= ? AND recorded < ? ORDER BY log, place"  # noqa: S608
        with self._opened(since, until) as connection:
            return [Row(*values) for values in connection.execute(query, [since, until]).fetchall()]

    def cross_check(
        self, held: dict[str, int], since: int, until: int, *, grace: int = GRACE, most: int = MOST_FINDINGS
    ) -> list[Finding]:
        """What does not add up among the messages with a row recorded in [since, until).

        Only messages that stand out are read whole: a record that one log has alone, or a second answer. At most so
        many findings of one code against one log are given, so nobody drowns what others did.
        """
        found: dict[tuple[str, str], list[Finding]] = {}
        with self._opened(since, until) as connection:
            connection.execute(f"CREATE TEMP TABLE odd AS {_ODD}", [since, until])
            last = ""
            while messages := connection.execute(_NEXT_ODD, [last]).fetchall():
                first, last = messages[0][0], messages[-1][0]
                rows = [Row(*values) for values in connection.execute(_ROWS_OF_ODD, [first, last]).fetchall()]
                for finding in cross_check(rows, held, grace=grace):
                    kept = found.setdefault((finding.code, finding.origin), [])
                    if len(kept) < most:
                        kept.append(finding)
        return [finding for kept in found.values() for finding in kept]

    def parties(self, since: int, until: int) -> list[Party]:
        """For whom each log was a side of exchanges recorded in [since, until): consumer, provider or neither."""
        query = """
            SELECT log, party, min(place), arg_min(message, place) FROM (
                SELECT log, place, message,
                    CASE WHEN log = maker THEN client WHEN log = receiver THEN service ELSE '' END AS party
                FROM rows WHERE kind = 'request' AND recorded >= ? AND recorded < ?
                UNION ALL SELECT log, place, message, '' FROM rows
                WHERE recorded >= ? AND recorded < ? AND log != maker AND log != receiver
            ) GROUP BY log, party ORDER BY log, party"""
        with self._opened(since, until) as connection:
            found = connection.execute(query, [since, until] * 2).fetchall()
        return [Party(log=log, party=party, place=place, message=message) for log, party, place, message in found]

    def named(self, since: int, until: int) -> dict[str, int]:
        """The logs that rows recorded in [since, until) by others name, and when each was named last."""
        query = """
            SELECT other, max(recorded) FROM (
                SELECT maker AS other, log, recorded FROM rows UNION ALL SELECT receiver, log, recorded FROM rows
            ) WHERE other IS NOT NULL AND other != log AND recorded >= ? AND recorded < ? GROUP BY other"""
        with self._opened(since, until) as connection:
            return dict(connection.execute(query, [since, until]).fetchall())

    def _ask(self, viewer: Viewer, since: int, until: int, tail: str, *more: object) -> list[tuple[Any, ...]]:
        query, values = EXCHANGES + tail, [since, until, viewer.member is None, *[f"{viewer.member}/"] * 2, *more]
        with self._opened(since, until) as connection:
            found: list[tuple[Any, ...]] = connection.execute(query, values).fetchall()
            return found

    @contextmanager
    def _opened(self, since: int, until: int) -> Iterator[Any]:
        """A connection with the table `rows`, of the days in question."""
        with connect() as connection:
            try:
                self._open(connection, since, until)
                yield connection
            except engine().Error as exc:
                raise Unavailable(
                    "operational.store", "the rows cannot be read now", at="service", context=repr(exc)
                ) from exc

    def _open(self, connection: Any, since: int, until: int) -> None:
        files = self._files(since, until)
        if files:
            connection.execute(f"SET allowed_paths = [{files}]")
        connection.execute("SET enable_external_access = false")
        given = ", ".join(f'NULL::{type_} AS "{name}"' for name, type_ in COLUMNS.items())
        source = f"read_parquet([{files}], hive_partitioning = false)" if files else f"(SELECT {given} LIMIT 0)"
        connection.execute(f"CREATE VIEW rows AS SELECT * FROM {source}")  # noqa: S608

    def _files(self, since: int, until: int) -> str:
        first, last = date_of(max(0, day_of(since) - _AROUND)), date_of(day_of(until) + _AROUND)
        return ", ".join(quoted(self._directory / name) for name in self._listed(first, last))


_MESSAGE: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)
# 9999-01-01.
_LATEST: Final = 253_370_764_800_000
_COLUMNS: Final = ", ".join(f'"{name}"' for name in COLUMNS)

_ODD: Final = """
    WITH near AS (
        SELECT DISTINCT message FROM rows WHERE recorded >= ? AND recorded < ? AND message IS NOT NULL
    ), at_hand AS (SELECT * FROM rows WHERE message IN (SELECT message FROM near))
    SELECT message FROM at_hand GROUP BY message, leaf HAVING count(DISTINCT log) = 1
    UNION SELECT message FROM at_hand WHERE kind IN ('response', 'refused') AND maker = log
    GROUP BY message, log, bound_leaf HAVING count(DISTINCT leaf) > 1
"""

_NEXT_ODD: Final = "SELECT DISTINCT message FROM odd WHERE message > ? ORDER BY message LIMIT 5000"
_ROWS_OF_ODD: Final = f"""
    SELECT {_COLUMNS} FROM rows WHERE message BETWEEN ? AND ? AND message IN (SELECT message FROM odd)
"""  # noqa: S608  # our own columns

EXCHANGES: Final = """
    WITH request AS (
        SELECT DISTINCT ON (log, leaf) * FROM rows WHERE kind = 'request' AND time >= ? AND time < ? ORDER BY place
    ), ending AS (
        SELECT DISTINCT ON (log, bound_leaf) * FROM rows WHERE kind IN ('response', 'refused', 'no-answer')
        ORDER BY place
    ), broken AS (
        SELECT DISTINCT ON (log, bound_leaf) * FROM rows WHERE kind = 'aborted' ORDER BY place
    ), tail AS (
        SELECT DISTINCT ON (log, bound_leaf) * FROM rows WHERE kind IN ('request-tail', 'response-tail') ORDER BY place
    ), told AS (
        SELECT q.log, CASE WHEN q.log = q.maker THEN 'consumer' ELSE 'provider' END AS side, q.leaf, q.message,
            q.client, q.service, q.method, q.endpoint, q.receiver AS provider, q.time,
            coalesce(t.recorded, b.recorded, e.recorded) - q.recorded AS duration,
            coalesce(q.size, s.size) AS request_size, coalesce(e.size, t.size) AS response_size, e.status,
            coalesce(b.code, e.code) AS code,
            CASE
                WHEN e.kind = 'response' AND b.kind IS NULL AND (e.size IS NOT NULL OR t.outcome = 'complete')
                THEN 'answered'
                WHEN e.kind = 'response' AND b.kind IS NULL AND t.kind IS NULL THEN 'unfinished'
                WHEN e.kind = 'response' OR (e.kind IS NULL AND b.kind IS NOT NULL) THEN 'aborted'
                ELSE coalesce(e.kind, 'unfinished')
            END AS outcome
        FROM request q
        LEFT JOIN ending e ON e.log = q.log AND e.bound_leaf = q.leaf
        LEFT JOIN broken b ON b.log = q.log AND b.bound_leaf = q.leaf
        LEFT JOIN tail s ON s.log = q.log AND s.bound_leaf = q.leaf
        LEFT JOIN tail t ON t.log = q.log AND t.bound_leaf = e.leaf
        QUALIFY row_number() OVER (PARTITION BY q.leaf ORDER BY q.log = q.maker DESC, q.log) = 1
    ), seen AS (
        SELECT * FROM told WHERE ? OR starts_with(client, ?) OR starts_with(service, ?)
    )
"""

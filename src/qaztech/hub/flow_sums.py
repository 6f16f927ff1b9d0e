"""Sums of a file of hours by flow, kept beside it, so that what is known of all flows does not need every hour again.

The sums of several files join to those of all: calls and hours add up, and so do the gaps between active hours, with
those between the last hour of one file and the first of the next. Where hours of one flow in two files interleave, the
gaps are those within each file. Not here: which files count, and what the sums mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from qaztech.core.errors import Unavailable
from qaztech.hub.observation import NOTHING_SEEN, Flow, Traffic
from qaztech.node.operational_parquet import connect, engine, quoted

MEMORY: Final = "1GB"


@contextmanager
def shut(files: Sequence[Path]) -> Iterator[Any]:
    """A DuckDB that sees these files and nothing else; what fails in it is told in our words."""
    with connect() as db:
        try:
            db.execute(f"SET memory_limit = '{MEMORY}'")
            db.execute("SET threads = 2")
            db.execute("SET TimeZone = 'UTC'")
            db.execute(f"SET allowed_paths = [{', '.join(map(quoted, files))}]")
            db.execute("SET enable_external_access = false")
            yield db
        except engine().Error as exc:
            raise Unavailable(
                "traffic.engine", "the hours cannot be read or written now", at="service", context=repr(exc)
            ) from exc


def parquet(files: Sequence[Path]) -> str:
    """Files as SQL reads them."""
    return f"read_parquet([{', '.join(map(quoted, files))}], hive_partitioning = false)"


def shared_hours(hours: Path, others: Sequence[Path], since: date, until: date) -> int:
    """How many hours of a flow a file has in common with others, from one day to another, both included."""
    with shut([hours, *others]) as db:
        (count,) = db.execute(
            f"SELECT count(*) FROM (SELECT * FROM {parquet([hours])} WHERE hour::DATE BETWEEN ? AND ?) "  # noqa: S608
            f"AS own SEMI JOIN {parquet(others)} AS other USING (hour, client, service)",
            [since, until],
        ).fetchone()
    return int(count)


def write_sums(hours: Path, sums: Path, *, without: Sequence[Path] = ()) -> None:
    """Sum up a file whose hours of each flow are given once, less the hours that stand in other files too.

    The sums are there whole or not at all.
    """
    sums.parent.mkdir(parents=True, exist_ok=True)
    made = sums.with_name(f"{sums.name}.{os.getpid()}.new")  # two processes may sum up one file
    try:
        with shut([hours, made, *without]) as db:
            less = f"AS own ANTI JOIN {parquet(without)} AS other USING (hour, client, service)" if without else ""
            db.execute(f"CREATE VIEW hours AS SELECT * FROM {parquet([hours])} {less}")  # noqa: S608 - our own paths
            db.execute(f"COPY ({_SUMS}) TO {quoted(made)} (FORMAT parquet, COMPRESSION zstd)")
        made.replace(sums)
    finally:
        made.unlink(missing_ok=True)


def members_in(files: Sequence[Path]) -> dict[str, date]:
    """The members at either end of the flows that were summed up in these files, with the first day of each."""
    if not files:
        return {}
    with shut(files) as db:
        db.execute(f"CREATE VIEW sums AS SELECT * FROM {parquet(files)}")  # noqa: S608 - our own paths
        return {str(member): day for member, day in db.execute(_MEMBERS).fetchall()}


def read_sums(files: Sequence[Path], watched: Mapping[str, date] | None = None) -> Traffic:
    """The flows of all files together; `watched` since when which members are."""
    if not files:
        return NOTHING_SEEN
    with shut(files) as db:
        db.execute(f"CREATE VIEW sums AS SELECT * FROM {parquet(files)}")  # noqa: S608 - our own paths
        return traffic_of(db, span=_SPAN, months=_MONTHS, flows=_JOINED, watched=watched)


def hours_in(sums: Path) -> int:
    """How many hours of a flow were summed up in a file of sums."""
    with shut([sums]) as db:
        return int(db.execute(f"SELECT coalesce(sum(hours), 0) FROM {parquet([sums])}").fetchone()[0])  # noqa: S608


def traffic_of(db: Any, *, span: str, months: str, flows: str, watched: Mapping[str, date] | None = None) -> Traffic:
    """Flows from three queries: first and last day; calls by client, service and month; a row for each flow."""
    monthly: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for client, service, month, calls in db.execute(months).fetchall():
        monthly.setdefault((client, service), []).append((month, calls))
    since, until = db.execute(span).fetchone()
    found = [
        Flow(
            client=client,
            service=service,
            calls=calls,
            failed=failed,
            size=size,
            first=first,
            last=last,
            active_days=days,
            active_hours=hours,
            regularity=regularity or 0.0,
            variation=variation or 0.0,
            monthly=tuple(monthly[client, service]),
        )
        for client, service, calls, failed, size, first, last, days, hours, regularity, variation in db.execute(
            flows
        ).fetchall()
    ]
    return Traffic(found, since, until, watched)


_MEMBERS: Final = """
    WITH ends AS (SELECT client AS system, first FROM sums UNION ALL SELECT service AS system, first FROM sums)
    SELECT regexp_extract(system, '^[^/]+/[^/]+/[^/]+') AS member, min(first)::DATE FROM ends GROUP BY ALL
"""
_SPAN: Final = "SELECT min(first)::DATE, max(last)::DATE FROM sums"
_SUMS: Final = """
    WITH steps AS (
        SELECT client, service, date_diff('hour', lag(hour) OVER of_flow, hour) AS gap
        FROM hours WINDOW of_flow AS (PARTITION BY client, service ORDER BY hour)
    ), counted AS (
        SELECT client, service, gap, count(*) AS n FROM steps WHERE gap IS NOT NULL GROUP BY ALL
    ), gaps AS (
        SELECT client, service, list({'gap': gap, 'n': n} ORDER BY gap) AS gaps FROM counted GROUP BY ALL
    ), month AS (
        SELECT client, service, date_trunc('month', hour)::DATE AS month, sum(calls)::BIGINT AS calls
        FROM hours GROUP BY ALL
    ), months AS (
        SELECT client, service, list({'month': month, 'calls': calls} ORDER BY month) AS months FROM month GROUP BY ALL
    ), flow AS (
        SELECT client, service, sum(calls)::BIGINT AS calls, sum(failed)::BIGINT AS failed, sum(bytes)::BIGINT AS size,
            min(hour) AS first, max(hour) AS last, count(DISTINCT hour::DATE) AS days, count(*) AS hours,
            sum(calls::DOUBLE * calls) AS squares
        FROM hours GROUP BY ALL
    )
    SELECT * FROM flow JOIN months USING (client, service) LEFT JOIN gaps USING (client, service)
"""
_MONTHS: Final = """
    WITH each AS (SELECT client, service, unnest(months) AS month FROM sums)
    SELECT client, service, strftime(month.month, '%Y-%m') AS name, sum(month.calls)::BIGINT
    FROM each GROUP BY ALL ORDER BY ALL
"""
_JOINED: Final = """
    WITH ordered AS (
        SELECT client, service, first, lag(last) OVER of_flow AS before
        FROM sums WINDOW of_flow AS (PARTITION BY client, service ORDER BY first, last)
    ), every AS (
        SELECT client, service, gap.gap AS gap, gap.n AS n
        FROM (SELECT client, service, unnest(gaps) AS gap FROM sums)
        UNION ALL SELECT client, service, date_diff('hour', before, first), 1 FROM ordered WHERE before < first
    ), gaps AS (
        SELECT client, service, gap, sum(n) AS n FROM every GROUP BY ALL
    ), steady AS (
        SELECT client, service, max(n) / sum(n) AS regularity FROM gaps GROUP BY ALL
    ), shared AS (
        SELECT client, service, count(*) AS n FROM ordered WHERE before::DATE = first::DATE GROUP BY ALL
    ), flow AS (
        SELECT client, service, sum(calls)::BIGINT AS calls, sum(failed)::BIGINT AS failed, sum(size)::BIGINT AS size,
            min(first)::DATE AS first, max(last)::DATE AS last, sum(days)::BIGINT AS days, sum(hours)::BIGINT AS hours,
            sum(squares) AS squares
        FROM sums GROUP BY ALL
    )
    SELECT client, service, calls, failed, size, first, last,
        least(days - coalesce(shared.n, 0), date_diff('day', first, last) + 1)::BIGINT, hours, regularity,
        sqrt(greatest(squares / hours - (calls / hours) ** 2, 0)) / (calls / hours)
    FROM flow LEFT JOIN steady USING (client, service) LEFT JOIN shared USING (client, service)
    ORDER BY client, service
"""

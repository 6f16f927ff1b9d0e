"""The sample's hours of calls as a Parquet file, made by DuckDB from patterns: the same day gives the same file.

They are labelled as the sample's (`LABEL`): no receipt stands behind them, unlike the calls of the dozen systems that
exchange for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from qaztech.node.operational_parquet import connect, quoted
from qaztech.testing.national.links import Hourly

LABEL: Final = "national sample"
# Days that are observed. The last ends a day before the sample's, so that no hour lies ahead in any time zone.
DAYS: Final = 182
# Hours of the day in Kazakhstan (UTC+5) in which a pattern has calls.
_FITS: Final = """
    CASE pattern
        WHEN 'office' THEN isodow(local) < 6 AND hour(local) BETWEEN 9 AND 16
        WHEN 'day' THEN hour(local) BETWEEN 8 AND 19
        WHEN 'night' THEN hour(local) = 2
        WHEN 'round' THEN hour(local) % 2 = 0
        ELSE true
    END
"""
_QUERY: Final = f"""
    WITH each_hour AS (
        SELECT TIMESTAMP '{{since}}' + INTERVAL (n) HOUR AS hour, hour + INTERVAL 5 HOUR AS local, n
        FROM range({{count}}) t(n)
    ), drawn AS (
        SELECT hour, client, service, pattern, calls AS mean,
            ((place * 7919 + n * 104729 + (place * n) % 1009) % 1000) / 1000.0 AS chance
        FROM patterns CROSS JOIN each_hour WHERE {_FITS}
    ), counted AS (
        SELECT hour, client, service, greatest(1, CASE WHEN pattern = 'even' THEN mean
            ELSE round(mean * (0.5 + chance)) END)::BIGINT AS calls, chance FROM drawn
    )
    SELECT hour, client, service, calls, (calls * CASE WHEN chance > 0.97 THEN 0.1 ELSE 0 END)::BIGINT AS failed,
        calls * (600 + (chance * 1800)::BIGINT) AS bytes
    FROM counted ORDER BY service, client, hour
"""  # noqa: S608 - our own words


def write_hours(path: Path, hourly: Sequence[Hourly], today: date) -> None:
    """Write the hours that are seen on a day. Raises `Unavailable` where DuckDB is not installed."""
    since = today - timedelta(days=DAYS + 1)
    rows = [(n, each.client, each.service, each.calls, each.pattern) for n, each in enumerate(hourly)]
    with connect() as db:
        db.execute(
            "CREATE TABLE patterns (place BIGINT, client VARCHAR, service VARCHAR, calls BIGINT, pattern VARCHAR)"
        )
        marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(rows))
        db.execute(f"INSERT INTO patterns VALUES {marks}", [value for row in rows for value in row])  # noqa: S608
        query = _QUERY.format(since=since.isoformat(), count=DAYS * 24)
        db.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)")

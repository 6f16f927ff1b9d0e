"""Traffic of a country: `python bench/traffic.py [millions of records]` (20).

DuckDB makes so many records of 12,000 flows between 2,000 systems, and they go the way of `qaztech hub traffic`:
checked as a whole, sorted, written. Prints how long that takes, what the file takes, and what the dashboard's questions
take over it. Beside that, exchanges with their evidence as nodes deliver them: what one takes on the disk, and how fast
days of them are counted by hour. Files lie under TMPDIR and are removed. Ends with 1 where a limit is not kept.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qaztech.hub.flows import Flows
from qaztech.node.operational_parquet import COLUMNS, connect, quoted

FLOWS = 12_000
DAY_MS = 86_400_000
SINCE = "2026-01-01"
SINCE_MS = 1_767_225_600_000
NOW = SINCE_MS + 300 * DAY_MS
LIMITS = {"GB": 0.6, "records/s": 100_000, "question s": 2.0, "GB of memory": 2.0}

# Each flow has its own hours, so that few are equal: as many as it takes to reach the count.
HOURS = """
    SELECT TIMESTAMP '{since}' + INTERVAL (h + (f % 7)) HOUR AS hour,
        'KZ/GOV/99134' || lpad((f % 2000)::VARCHAR, 7, '0') || '/system' || (f % 3) AS client,
        'KZ/QUASI/99134' || lpad((f * 7 % 1500 + 5000)::VARCHAR, 7, '0') || '/register' || (f % 5)
            || '/v' || (f // 2000) AS service,
        1 + (hash(f * 100003 + h) % 400)::BIGINT AS calls, (hash(h * 31 + f) % 50 = 0)::BIGINT AS failed,
        900 + (hash(f + h * 7919) % 900000)::BIGINT AS bytes
    FROM range({flows}) a(f), range({hours}) b(h)
"""
# One exchange in its consumer's log: a request and its answer, with leaf hashes and records of a usual length.
DELIVERED = """
    WITH exchange AS (
        SELECT n, {begin} + (n * 86399000 // {count})::BIGINT AS moment, hash(n) % {flows} AS f,
            uuidv7()::VARCHAR AS message,
            unhex(sha256('request' || {begin} || n)) AS asked, unhex(sha256('response' || {begin} || n)) AS answered
        FROM range({count}) t(n)
    ), sides AS (
        SELECT *, 0 AS side FROM exchange UNION ALL SELECT *, 1 FROM exchange
    )
    SELECT 'node.one' AS log, n * 2 + side AS place, CASE WHEN side = 0 THEN asked ELSE answered END AS leaf,
        moment + side * 40 AS recorded, CASE WHEN side = 0 THEN 'request' ELSE 'response' END AS kind, message,
        CASE WHEN side = 0 THEN 'node.one' ELSE 'node.two' END AS maker,
        CASE WHEN side = 0 THEN 'node.two' ELSE 'node.one' END AS receiver,
        CASE WHEN side = 0 THEN 'KZ/GOV/99134' || (f % 2000) || '/system' END AS client,
        CASE WHEN side = 0 THEN 'KZ/QUASI/99134' || (f % 1500) || '/register/v1' END AS service,
        CASE WHEN side = 0 THEN 'GET' END AS method, CASE WHEN side = 0 THEN 'GET /**' END AS endpoint,
        moment + side * 40 AS time, 1::BIGINT AS attempt, 200 + (hash(n) % 9000)::BIGINT AS size,
        CASE WHEN side = 1 THEN 200 END::BIGINT AS status, NULL::VARCHAR AS code, NULL::VARCHAR AS outcome,
        CASE WHEN side = 1 THEN asked END AS bound_leaf, CASE WHEN side = 1 THEN n * 2 END::BIGINT AS bound_place,
        encode('from: node.one, to: node.two, message: ' || message || ', body: ' || sha256('b' || n) || ', query: '
            || sha256('q' || n) || ', salt: ' || sha256('s' || n)) AS record
    FROM sides ORDER BY place
"""
QUESTIONS = {
    "totals by body and month": """SELECT split_part(service, '/', 3) AS body, strftime(hour, '%Y-%m') AS month,
        sum(calls), sum(failed) FROM {file} GROUP BY ALL""",
    "totals by service and month": """SELECT service, date_trunc('month', hour) AS month, sum(calls),
        sum(failed), sum(bytes) FROM {file} GROUP BY ALL""",
    "fifty largest flows": """SELECT client, service, sum(calls) AS calls FROM {file} GROUP BY ALL
        ORDER BY calls DESC LIMIT 50""",
    "one system's days": """SELECT hour::DATE AS day, client, sum(calls) FROM {file}
        WHERE service = (SELECT min(service) FROM {file}) GROUP BY ALL""",
}


class Delivered:
    """Days of delivered rows, as the centre's store names them."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.directory = directory
        self._names = {name.partition(".")[0]: name for name in names}

    def days(self) -> list[str]:
        """The days."""
        return sorted(self._names)

    def files(self, first: str, last: str) -> list[str]:
        """The files of some days."""
        return [name for day, name in sorted(self._names.items()) if first <= day <= last]


def timed(what: str, work: Callable[[], Any]) -> tuple[float, Any]:
    """Do something and say how long it took."""
    begin, used = time.perf_counter(), time.process_time()
    found = work()
    took = time.perf_counter() - begin
    print(f"{what:44} {took:8.2f} s  ({time.process_time() - used:.2f} s of processor)", flush=True)
    return took, found


def hours(folder: Path, millions: float) -> dict[str, float]:
    """Records by hour: taken, and asked about."""
    given, each = folder / "given.parquet", max(1, round(millions * 1e6 / FLOWS))
    with connect() as db:
        db.execute("SET threads = 2")
        query = HOURS.format(since=SINCE, flows=FLOWS, hours=each)
        timed("made", lambda: db.execute(f"COPY ({query}) TO {quoted(given)} (FORMAT parquet, COMPRESSION zstd)"))
    flows = Flows(folder / "flows")
    took, file = timed("taken: checked, sorted, written", lambda: flows.take(given, now=NOW))
    given.unlink()
    kept = next((folder / "flows" / "brought").glob("*.parquet"))
    figures = {"records": file.rows, "GB": kept.stat().st_size / 1e9, "records/s": file.rows / took}
    worst, _ = timed("flows for the detectors, first time", flows.traffic)
    timed("flows for the detectors, again", flows.traffic)
    with connect() as db:
        db.execute("SET threads = 2")
        db.execute("SET memory_limit = '1GB'")
        for name, question in QUESTIONS.items():
            text = question.replace("{file}", f"read_parquet({quoted(kept)})")
            worst = max(worst, timed(name, lambda text=text: db.execute(text).fetchall())[0])
    return figures | {"question s": worst}


def delivered(folder: Path, count: int) -> dict[str, float]:
    """Exchanges with evidence: what one takes, and how fast days of them are counted."""
    names = []
    with connect() as db:
        for day in range(3):
            name = f"2026-01-0{day + 1}.parquet"
            query = DELIVERED.format(begin=SINCE_MS + day * DAY_MS, count=count // 3, flows=FLOWS)
            db.execute(f"COPY ({query}) TO {quoted(folder / name)} (FORMAT parquet, COMPRESSION zstd)")
            names.append(name)
        described = db.execute(f"DESCRIBE SELECT * FROM read_parquet({quoted(folder / names[0])})").fetchall()
        assert [row[0] for row in described] == list(COLUMNS)
    size = sum((folder / name).stat().st_size for name in names)
    store: Any = Delivered(folder, names)
    took, traffic = timed("days with evidence counted by hour", Flows(folder / "counting", store).traffic)
    assert sum(flow.calls for flow in traffic.flows) == count // 3 * 3
    return {"bytes an exchange with evidence": size / count, "exchanges counted/s": count / took}


def main(millions: float = 20.0) -> int:
    """Measure and print; 1 where a limit is not kept."""
    with tempfile.TemporaryDirectory(prefix="traffic-") as name:
        figures = hours(Path(name), millions)
        figures["GB of memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        figures |= delivered(Path(name), 300_000)
    missed = 0
    for what, value in figures.items():
        limit = LIMITS.get(what)
        kept = limit is None or (value >= limit if what == "records/s" else value <= limit)
        missed += not kept
        told = "" if limit is None else f"  (limit {limit:,})" + ("" if kept else "  MISSED")
        print(f"{what:44} {value:12,.2f}{told}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*(float(text) for text in sys.argv[1:2])))

"""Flows from hours: files that are brought, exchanges that were delivered, each hour counted once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from databases import database_at
from operational_logs import CLIENT, SERVICE, START, Pair
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.hub.flows import Flows, read_flows
from qaztech.hub.store import METADATA, OperationalStore
from qaztech.node.operational_manifest import date_of, part_name
from qaztech.node.operational_parquet import write_part
from qaztech.node.operational_rows import day_of
from qaztech.runtime.database import open_database

duckdb = pytest.importorskip("duckdb")
NOW = START + 3_600_000
HONEST = """SELECT TIMESTAMP '2026-01-01' + INTERVAL (n * 24) HOUR AS hour, 'KZ/GOV/1/a' AS client,
    'KZ/GOV/2/b/s' AS service, 2 AS calls, 1 AS failed, 10 AS bytes FROM range(40) t(n)"""


def parquet(path: Path, query: str) -> Path:
    """A Parquet file of what a query gives."""
    with duckdb.connect() as db:
        db.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def test_hours_become_flows(tmp_path: Path) -> None:
    """Calls, days, months, and how steady they are."""
    flows = Flows(tmp_path / "flows")
    taken = flows.take(parquet(tmp_path / "f.parquet", HONEST), now=NOW)
    assert (taken.rows, taken.since, taken.until) == (40, date(2026, 1, 1), date(2026, 2, 9))
    traffic = flows.traffic()
    (flow,) = traffic.flows
    assert (flow.calls, flow.failed, flow.size, flow.active_days, flow.active_hours) == (80, 40, 400, 40, 40)
    assert (flow.regularity, flow.variation) == (1.0, 0.0)
    assert flow.monthly == (("2026-01", 62), ("2026-02", 18))
    assert traffic.to(["KZ/GOV/2/b"]) == traffic.of(["KZ/GOV/1/a"]) == [flow]
    assert traffic.days == 40
    assert [traffic.days_for([each]) for each in ("KZ/GOV/2/b", "KZ/GOV/2/other", "KZ/GOV/3/c")] == [40, 40, 0]
    assert traffic.days_for([]) == 0


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    """It is known by its digest; it can be forgotten again."""
    flows, file = Flows(tmp_path / "flows"), parquet(tmp_path / "f.parquet", HONEST)
    taken = flows.take(file, now=NOW)
    assert flows.take(file, now=NOW) == taken
    assert flows.brought() == [taken]
    flows.remove(taken.digest)
    assert flows.traffic().flows == ()
    with pytest.raises(NotFound):
        flows.remove(taken.digest)
    with pytest.raises(NotFound):
        flows.remove("../" + taken.digest)


def test_an_hour_is_not_counted_twice(tmp_path: Path) -> None:
    """A second file with an hour of the same flow is refused; another hour of it is not."""
    flows = Flows(tmp_path / "flows")
    flows.take(parquet(tmp_path / "f.parquet", HONEST), now=NOW)
    with pytest.raises(Conflict):
        flows.take(parquet(tmp_path / "g.parquet", HONEST.replace("2 AS calls", "3 AS calls")), now=NOW)
    flows.take(parquet(tmp_path / "h.parquet", HONEST.replace("01-01'", "01-01 01:00:00'")), now=NOW)
    assert flows.traffic().flows[0].calls == 160


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (HONEST.replace("10 AS bytes", "10 AS size"), "traffic.columns"),
        (HONEST.replace("2 AS calls", "'many' AS calls"), "traffic.types"),
        (HONEST.replace("2 AS calls", "-2 AS calls"), "traffic.values"),
        (HONEST.replace("1 AS failed", "9 AS failed"), "traffic.values"),
        (HONEST.replace("1 AS failed", "NULL::INT AS failed"), "traffic.values"),
        (HONEST.replace("2026-01-01'", "2036-01-01'"), "traffic.values"),
        (HONEST.replace("2026-01-01'", "2026-01-01 00:30:00'"), "traffic.values"),
        (HONEST.replace("'KZ/GOV/1/a'", "'<script>'"), "traffic.values"),
        (HONEST.replace("(n * 24)", "(n % 2)"), "traffic.twice"),
        (HONEST + " WHERE n > 100", "traffic.rows"),
        (HONEST.replace("TIMESTAMP '2026-01-01' + INTERVAL (n * 24) HOUR", "'yesterday'"), "traffic.columns"),
    ],
)
def test_a_file_that_cannot_be_is_refused_whole(tmp_path: Path, query: str, code: str) -> None:
    """Missing columns, wrong types, rows that cannot be: nothing of it is kept."""
    flows = Flows(tmp_path / "flows")
    with pytest.raises(Malformed) as caught:
        flows.take(parquet(tmp_path / "f.parquet", query), now=NOW)
    assert caught.value.code == code
    assert flows.brought() == []


def test_what_is_no_parquet_is_refused_and_more_columns_are_named(tmp_path: Path) -> None:
    """A column that is not ours is left out, and said."""
    flows = Flows(tmp_path / "flows")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(Malformed):
        flows.take(tmp_path / "x.parquet", now=NOW)
    more = HONEST.replace("10 AS bytes", "10 AS bytes, 'Иванов' AS person")
    assert flows.take(parquet(tmp_path / "f.parquet", more), now=NOW).ignored == ("person",)
    (kept,) = (tmp_path / "flows" / "brought").iterdir()
    assert "Иванов".encode() not in kept.read_bytes()


def test_delivered_exchanges_are_flows(tmp_path: Path) -> None:
    """Each exchange once, by the hour it began in; what was not answered well is failed."""
    pair = Pair()
    pair.answered()
    pair.answered(status=404)
    pair.refused("limit.rate")
    store = OperationalStore(open_database(database_at(tmp_path / "hub.db"), METADATA), tmp_path / "rows")
    deliver(store, pair)
    flows = Flows(tmp_path / "flows", store)
    (flow,) = flows.traffic().flows
    assert (flow.client, flow.service, flow.calls, flow.failed) == (CLIENT, SERVICE, 3, 2)
    assert flows.traffic() is flows.traffic()
    assert flows.traffic().days_for([CLIENT]) == 1
    assert flows.traffic().days_for(["KZ/GOV/3/c"]) == 0


@pytest.mark.parametrize("first", ["brought", "delivered"])
def test_of_an_hour_that_was_brought_and_delivered_the_delivered_one_counts(tmp_path: Path, first: str) -> None:
    """Whichever comes first; the hours around it count as they were brought, and what does not count is said."""
    pair = Pair()
    pair.answered()
    pair.answered(status=404)
    store = OperationalStore(open_database(database_at(tmp_path / "hub.db"), METADATA), tmp_path / "rows")
    flows = Flows(tmp_path / "flows", store)
    file = parquet(
        tmp_path / "f.parquet",
        f"""SELECT date_trunc('hour', make_timestamp({START} * 1000)) - INTERVAL (n) HOUR AS hour, '{CLIENT}' AS client,
        '{SERVICE}' AS service, 50 AS calls, 0 AS failed, 10 AS bytes FROM range(30) t(n)""",
    )
    if first == "delivered":
        deliver(store, pair)
        taken = flows.take(file, now=NOW)
        assert (taken.rows, taken.superseded) == (30, 1)
    else:
        assert flows.take(file, now=NOW).superseded == 0
        assert flows.traffic().flows[0].calls == 30 * 50
        deliver(store, pair)
    (flow,) = flows.traffic().flows
    assert (flow.calls, flow.failed, flow.active_hours) == (29 * 50 + 2, 1, 30)
    assert Flows(tmp_path / "flows", store).traffic().flows == (flow,)
    (kept,) = flows.brought()
    assert (kept.rows, kept.superseded) == (30, 1)
    assert flows.remove(kept.digest) == kept
    assert [flow.calls for flow in flows.traffic().flows] == [2]
    only = parquet(tmp_path / "only.parquet", f"SELECT * FROM '{file}' WHERE hour = (SELECT max(hour) FROM '{file}')")
    assert flows.take(only, now=NOW).superseded == 1
    assert [flow.calls for flow in flows.traffic().flows] == [2]


def deliver(store: OperationalStore, pair: Pair) -> None:
    """Let both logs' rows be held."""
    for log in pair.logs:
        rows = log.rows()
        for day in sorted({day_of(row.recorded) for row in rows}):
            of_day = [row for row in rows if day_of(row.recorded) == day]
            date_ = date_of(day)
            name = f"date={date_}/{part_name(log.origin, of_day[0].place, of_day[-1].place + 1)}"
            write_part(store.directory / name, of_day)
            store.replace_files(date_, [], name)


def test_sums_of_several_files_are_those_of_all_hours(tmp_path: Path) -> None:
    """Flows joined from each file's sums are those counted from every hour at once, gaps between files too."""
    every = """SELECT TIMESTAMP '2026-01-01' + INTERVAL (n * step) HOUR AS hour, 'KZ/GOV/1/a' || step AS client,
        'KZ/GOV/2/b/s' AS service, 1 + n % 5 AS calls, n % 2 AS failed, n AS bytes
        FROM range(200) t(n), (VALUES (1), (3), (25)) s(step)"""
    whole = parquet(tmp_path / "whole.parquet", every)
    flows = Flows(tmp_path / "flows")
    for number, part in enumerate(("n < 40", "n >= 40 AND n < 99", "n >= 99")):
        flows.take(parquet(tmp_path / f"{number}.parquet", f"{every} WHERE {part}"), now=NOW + 400 * 86_400_000)
    joined, counted = flows.traffic(), read_flows([whole])
    assert (joined.since, joined.until) == (counted.since, counted.until)
    for one, other in zip(joined.flows, counted.flows, strict=True):
        assert one.variation == pytest.approx(other.variation)
        assert replace(one, variation=0.0) == replace(other, variation=0.0)
    assert Flows(tmp_path / "flows").traffic().flows == joined.flows

"""Operational data under any course of exchanges and cuts: nothing left out, nothing twice, nothing forged."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operational_logs import Hub, Pair, WrittenLog
from qaztech.core.errors import Conflict, Error, Unavailable
from qaztech.core.time import ManualClock
from qaztech.hub.crosscheck import cross_check
from qaztech.hub.delivery import Contradicted, HeldLog, Judgement, check_place
from qaztech.node.operational import Delivery, Held, OperationalData
from qaztech.node.operational_manifest import date_of, format_manifest, parse_manifest
from qaztech.node.operational_rows import Row, day_of, row_of

pytest.importorskip("duckdb")
STEPS = st.lists(
    st.sampled_from(["answered", "refused", "unanswered", "streamed", "lost", "foreign", "night"]),
    min_size=1, max_size=12,
)  # fmt: skip


def run(steps: list[str]) -> Pair:
    """Two logs after these exchanges."""
    pair = Pair()
    for step in steps:
        match step:
            case "lost":
                pair.answered(lost=True)
            case "foreign":
                pair.consumer.append(b"qaztech-log-continues 1\n", pair.tick())
            case "night":
                pair.tick(40_000_000)
            case _:
                getattr(pair, step)()
    pair.answered()
    return pair


def judge(log: WrittenLog, held: HeldLog, stop: int, rows: list[Row]) -> HeldLog:
    """A delivery of these rows, from what is held to `stop`."""
    claim = log.claim(held.size, stop)
    assert parse_manifest(format_manifest(claim.manifest)) == claim.manifest
    check_place(claim, held)
    judgement = Judgement(claim, held)
    for row in rows:
        judgement.feed(date_of(day_of(row.recorded)), [row])
    return judgement.finish()


@settings(max_examples=40)
@given(STEPS, st.data())
def test_any_cuts_deliver_every_leaf_once(steps: list[str], data: st.DataObject) -> None:
    """Whatever sizes were witnessed and wherever a process began again: the same root, every index once."""
    log = run(steps).consumer
    size = len(log.entries)
    cuts = sorted({*data.draw(st.lists(st.integers(1, size), max_size=4)), size})
    held, seen = HeldLog(origin=log.origin), []
    for stop in cuts:
        rows = log.rows(held.size, stop)
        again = data.draw(st.booleans())
        before, held = held, judge(log, held, stop, rows)
        seen += [row.place for row in rows]
        if again and before.size:
            try:
                check_place(log.claim(before.size, stop), held)
            except Conflict:
                continue
            raise AssertionError
    assert seen == list(range(size))
    assert (held.size, held.root) == (size, log.claim(0, size).after)


class Faulty:
    """The centre behind a line that breaks: before a delivery arrives, or before its answer does."""

    def __init__(self, hub: Hub, breaks: list[str]) -> None:
        self._hub = hub
        self._breaks = breaks
        self.held = hub.held

    def deliver(self, delivery: Delivery) -> tuple[str, Held]:
        how = self._breaks.pop(0) if self._breaks else "whole"
        if how == "before":
            raise Unavailable("operational.undelivered", "cut")
        answer = self._hub.deliver(delivery)
        if how == "after":
            raise Unavailable("operational.undelivered", "cut")
        return answer


@settings(max_examples=8)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["before", "after", "whole", "forget"])), min_size=1, max_size=4
    )
)
def test_a_node_restarted_anywhere_delivers_every_leaf_once(rounds: list[tuple[int, str]]) -> None:
    """The line may break, the process end, what it noted be lost: the centre's files hold each leaf once."""
    pair = Pair()
    log = pair.consumer
    with TemporaryDirectory() as folder:
        node, hub = Path(folder) / "node", Hub(Path(folder) / "hub", *pair.logs)
        try:
            for calls, how in [*rounds, (1, "whole")]:
                for _ in range(calls):
                    pair.answered()
                log.on_disk(node / "log", len(log.entries))
                if how == "forget":
                    shutil.rmtree(node / "operational", ignore_errors=True)
                with suppress(Unavailable):
                    OperationalData(node, clock=ManualClock()).deliver(Faulty(hub, [how]))
            assert hub.deliveries.traffic.rows(0, pair.now + 1) == log.rows()
            assert hub.codes() == []
            kept = sorted((node / "operational").glob("date=*/*.parquet"))
            assert len(kept) == len({path.name.rsplit("-", 2)[1] for path in kept})
        finally:
            hub.close()


@settings(max_examples=60)
@given(STEPS, st.data())
def test_no_withheld_doubled_moved_or_forged_row_passes(steps: list[str], data: st.DataObject) -> None:
    """Any change of the rows under the same checkpoints is found."""
    log = run(steps).consumer
    rows, size = log.rows(), len(log.entries)
    place = data.draw(st.integers(0, size - 1))
    how = data.draw(st.sampled_from(["withheld", "renumbered", "doubled", "swapped", "forged", "column", "cut"]))
    row = rows[place]
    match how:
        case "withheld":
            changed = [*rows[:place], *rows[place + 1 :]]
        case "renumbered":
            left = [*rows[:place], *rows[place + 1 :]]
            changed = [row_of(log.origin, at, r.recorded, r.record) for at, r in enumerate(left)]
        case "doubled":
            changed = [*rows[: place + 1], *rows[place:]]
        case "swapped":
            other = data.draw(st.integers(0, size - 1).filter(lambda at: rows[at].record != row.record))
            records = [r.record for r in rows]
            records[place], records[other] = records[other], records[place]
            changed = [row_of(log.origin, at, rows[at].recorded, record) for at, record in enumerate(records)]
        case "forged":
            at = data.draw(st.integers(0, len(row.record) - 1))
            record = row.record[:at] + bytes([row.record[at] ^ 1]) + row.record[at + 1 :]
            changed = [*rows[:place], row_of(log.origin, place, row.recorded, record), *rows[place + 1 :]]
        case "column":
            name = data.draw(st.sampled_from([f for f in Row._fields if f not in {"recorded", "record"}]))
            changed = [*rows[:place], row._replace(**{name: "other"}), *rows[place + 1 :]]
        case _:
            changed = rows[:place]
    try:
        judge(log, HeldLog(origin=log.origin), size, changed)
    except Contradicted:
        return
    except Error as exc:  # pragma: no cover
        raise AssertionError(how) from exc
    raise AssertionError(how)


@settings(max_examples=40)
@given(STEPS, st.data())
def test_honest_logs_are_never_accused(steps: list[str], data: st.DataObject) -> None:
    """However far each side has been delivered, two honest logs contradict each other nowhere."""
    pair = run(steps)
    pair.later()
    cuts = [data.draw(st.integers(1, len(log.entries))) for log in pair.logs]
    rows = [row for log, cut in zip(pair.logs, cuts, strict=True) for row in log.rows(0, cut)]
    held = {log.origin: log.entries[cut - 1][0] for log, cut in zip(pair.logs, cuts, strict=True)}
    findings = cross_check(rows, held, grace=60_000)
    assert {finding.level for finding in findings} <= {"difference"}
    lost = sum(step == "lost" for step in steps)
    assert len(findings) <= lost

"""Operational data under any course of exchanges and cuts: nothing left out, nothing twice, nothing forged."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from operational_logs import Pair, WrittenLog
from qaztech.core.errors import Conflict, Error
from qaztech.hub.crosscheck import cross_check
from qaztech.hub.delivery import Contradicted, HeldLog, Judgement, check_place
from qaztech.node.operational_manifest import date_of, format_manifest, parse_manifest
from qaztech.node.operational_rows import Row, day_of, row_of

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

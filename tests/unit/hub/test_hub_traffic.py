"""Exchanges and totals from the rows of both sides: each counted once, each shown to whom it concerns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from operational_logs import CLIENT, CONSUMER, PROVIDER, SERVICE, START, Pair, WrittenLog
from qaztech.core.ids import MemberId
from qaztech.hub.traffic import CENTRE, Traffic, Viewer, sees, visible
from qaztech.node.operational_manifest import date_of, part_name
from qaztech.node.operational_parquet import write_part
from qaztech.node.operational_rows import day_of

pytest.importorskip("duckdb")
HOUR = 3_600_000
STRANGER = Viewer(member=MemberId.parse("KZ/GOV/991340000018"))


@pytest.fixture
def pair() -> Pair:
    """Exchanges of every outcome."""
    pair = Pair()
    pair.answered(took=7)
    pair.answered(status=404, size=20)
    pair.refused("limit.rate")
    pair.unanswered(code="peer.timeout")
    pair.streamed(5_000_000)
    pair.streamed(100, outcome="aborted")
    pair.answered(lost=True)
    return pair


def listed(directory: Path) -> Callable[[str, str], list[str]]:
    """The files of some days."""

    def files(first: str, last: str) -> list[str]:
        found = sorted(directory.glob("date=*/*"))
        return [f"{p.parent.name}/{p.name}" for p in found if first <= p.parent.name[5:] <= last]

    return files


def store(directory: Path, *logs: WrittenLog) -> Traffic:
    """The rows of these logs in files, one for each day."""
    for log in logs:
        rows = log.rows()
        for day in sorted({day_of(row.recorded) for row in rows}):
            of_day = [row for row in rows if day_of(row.recorded) == day]
            name = part_name(log.origin, of_day[0].place, of_day[-1].place + 1)
            write_part(directory / f"date={date_of(day)}" / name, of_day)
    return Traffic(directory, listed(directory))


def test_an_exchange_is_a_request_and_what_became_of_it(tmp_path: Path, pair: Pair) -> None:
    """Outcome, status, code, sizes and the time it took, as the consumer's log tells it."""
    found = store(tmp_path, *pair.logs).exchanges(CENTRE, START, START + HOUR)
    assert [(e.outcome, e.status, e.code, e.response_size) for e in reversed(found)] == [
        ("answered", 200, None, 10),
        ("answered", 404, None, 20),
        ("refused", None, "limit.rate", None),
        ("no-answer", None, "peer.timeout", None),
        ("answered", 200, None, 5_000_000),
        ("aborted", 200, None, 100),
        ("no-answer", None, "peer.lost", None),
    ]
    assert {(e.side, e.client, e.service, e.provider) for e in found} == {
        ("consumer", CLIENT, SERVICE, pair.provider.origin)
    }
    assert found[-1].duration == 9  # a tick to the provider's log, seven there, and a tick back
    assert found[2].duration == 54


def test_one_side_alone_is_enough(tmp_path: Path, pair: Pair) -> None:
    """Of a consumer that has not delivered the provider's side counts; what never arrived is not known then."""
    found = store(tmp_path, pair.provider).exchanges(CENTRE, START, START + HOUR)
    assert [e.outcome for e in reversed(found)] == [
        "answered", "answered", "refused", "answered", "aborted", "answered"
    ]  # fmt: skip
    assert {e.side for e in found} == {"provider"}


def test_totals_count_each_exchange_once(tmp_path: Path, pair: Pair) -> None:
    """By day, client and service, whichever side delivered."""
    (total,) = store(tmp_path, *pair.logs).totals(CENTRE, START, START + HOUR)
    assert total[:7] == ("2026-11-23", CLIENT, SERVICE, 7, 2, 1, 3)
    assert (total.request_bytes, total.response_bytes) == (0, 5_000_130)


def test_days_begin_at_midnight_in_kazakhstan(tmp_path: Path) -> None:
    """19:00 UTC is the next day there; an answer after midnight belongs to its request."""
    pair = Pair()
    pair.now = day_of(START) * 86_400_000 + 19 * HOUR - 3
    pair.answered(took=10)
    pair.answered()
    pair.now = (day_of(START) + 1) * 86_400_000 - 3
    pair.answered(took=10)
    traffic = store(tmp_path, *pair.logs)
    assert [(t.day, t.calls) for t in traffic.totals(CENTRE, START, START + 24 * HOUR)] == [
        ("2026-11-23", 1),
        ("2026-11-24", 2),
    ]
    assert [t.day for t in traffic.totals(CENTRE, START, START + 24 * HOUR, day_begins=0)] == ["2026-11-23"]
    assert {e.outcome for e in traffic.exchanges(CENTRE, START, START + 24 * HOUR)} == {"answered"}


@pytest.mark.parametrize(
    ("viewer", "count"),
    [(CENTRE, 7), (Viewer(member=CONSUMER), 7), (Viewer(member=PROVIDER), 7), (STRANGER, 0)],
)
def test_each_sees_what_it_may(tmp_path: Path, pair: Pair, viewer: Viewer, count: int) -> None:
    """The centre all, a member the calls it made and those of its services, nobody else's."""
    found = store(tmp_path, *pair.logs).exchanges(viewer, START, START + HOUR)
    assert len(found) == count
    assert [e for e in found if not sees(viewer, e.client, e.service)] == []


def test_a_name_that_begins_alike_is_another(tmp_path: Path, pair: Pair) -> None:
    """Identifiers are compared part by part."""
    alike = Viewer(member=MemberId.parse(str(CONSUMER)[:-1]))
    assert store(tmp_path, *pair.logs).exchanges(alike, START, START + HOUR) == []
    assert not sees(alike, CLIENT, SERVICE)


def test_rows_are_shown_like_exchanges(pair: Pair) -> None:
    """A tail has no client of its own and follows its head; leaves that are no records are the centre's."""
    pair.later()
    rows = pair.consumer.rows()
    assert list(visible(rows, CENTRE)) == rows
    assert list(visible(rows, Viewer(member=PROVIDER))) == rows[:-1]
    assert list(visible(rows, STRANGER)) == []


def test_no_files_no_traffic(tmp_path: Path) -> None:
    """Before the first delivery there is nothing, and no error."""
    assert Traffic(tmp_path, listed(tmp_path)).totals(CENTRE, 0, START) == []
    assert Traffic(tmp_path, listed(tmp_path)).rows(0, START) == []


def test_findings_of_the_store_are_those_of_the_rows(tmp_path: Path, pair: Pair) -> None:
    """Only what stands out is read, and nothing is missed by it."""
    from qaztech.hub.crosscheck import cross_check

    request, place = pair.request()
    pair.consumer.entries.pop()
    response = pair.answered()
    pair.provider.append(response.data.replace(b"status 200", b"status 201"), pair.tick())
    pair.later()
    held = {log.origin: log.recorded for log in pair.logs}
    every = cross_check([row for log in pair.logs for row in log.rows()], held)
    assert sorted({f.code for f in every}) == ["exchange.ends-differ", "exchange.not-made", "exchange.two-answers"]
    traffic = store(tmp_path, *pair.logs)
    assert set(traffic.cross_check(held, START, pair.now + 1)) == set(every)
    assert traffic.cross_check(held, pair.now, pair.now + 1) == []
    assert (request.kind, place) == ("request", 0) or place > 0


def test_logs_that_others_name_are_known(tmp_path: Path, pair: Pair) -> None:
    """Of a log that does not deliver the others' rows say when it was busy last."""
    traffic = store(tmp_path, pair.consumer)
    last = max(row.recorded for row in pair.consumer.rows())
    assert traffic.named(START, pair.now + 1) == {pair.provider.origin: last}
    assert traffic.named(START, START) == {}


def test_one_who_floods_does_not_drown_the_others(tmp_path: Path) -> None:
    """Of each kind against each log only so many findings are given at a time."""
    pair = Pair()
    for _ in range(5):
        pair.request()
        pair.consumer.entries.pop()
    pair.answered(lost=True)
    pair.later()
    held = {log.origin: log.recorded for log in pair.logs}
    found = store(tmp_path, *pair.logs).cross_check(held, START, pair.now + 1, most=3)
    assert [f.code for f in found] == ["exchange.not-made"] * 3 + ["exchange.ends-differ"]


def test_who_called_some_services_is_counted(tmp_path: Path, pair: Pair) -> None:
    """Answered posts alone, by caller and service, with the time of the last: of services named, and by their paths."""
    pair.answered(method="POST")
    pair.answered(method="POST", status=404)
    pair.answered(method="POST")
    traffic = store(tmp_path, *pair.logs)
    every = traffic.exchanges(CENTRE, START, START + HOUR)
    posts = [e for e in every if (e.outcome, e.status, e.method) == ("answered", 200, "POST")]
    assert len(posts) == 2
    expected = [(str(CLIENT), str(SERVICE), 2, max(e.time for e in posts))]
    for endings, services in (([every[0].endpoint[-4:], ".none"], []), ([".none"], [str(SERVICE)])):
        assert traffic.callers(endings, services, START, START + HOUR) == expected
    assert traffic.callers([".none"], ["none"], START, START + HOUR) == []

"""A node's operational data: rows from its log, cut at witnessed sizes, in files, delivered once and without a gap."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from operational_logs import _HASH, CLIENT, PROVIDER, SERVICE, START, Hub, Pair
from qaztech.core.errors import Conflict, Malformed, Unavailable, Untrusted
from qaztech.core.time import ManualClock
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.node import operational_parquet
from qaztech.node.operational import LONGEST_WAIT, Held, OperationalData, choose, deliver_rounds
from qaztech.node.operational_manifest import MAX_MANIFEST, format_manifest, parse_manifest
from qaztech.node.operational_parquet import COLUMNS, connect, quoted, read_part, write_part
from qaztech.node.operational_rows import Row, row_of, rows

pytest.importorskip("duckdb")
DAY = 86_400_000


@pytest.fixture
def pair() -> Pair:
    """Some exchanges of every kind."""
    pair = Pair()
    pair.answered(status=404)
    pair.refused()
    pair.unanswered()
    pair.streamed()
    return pair


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node's folder."""
    return tmp_path / "node"


@pytest.fixture
def hub(tmp_path: Path, pair: Pair) -> Iterator[Hub]:
    """The centre."""
    hub = Hub(tmp_path / "hub", *pair.logs)
    yield hub
    hub.close()


def view(node: Path) -> LogView:
    return LogView.open_read_only(node / "log", storage=OsStorage())


def data(node: Path, **options) -> OperationalData:
    return OperationalData(node, clock=ManualClock(START), **options)


class TestRows:
    def test_every_leaf_is_a_row_with_its_kind(self, pair: Pair, node: Path) -> None:
        """Rows read from a log on the disk are those of its leaves, every index once."""
        log = pair.consumer
        log.on_disk(node / "log")
        with view(node) as open_log:
            found = list(rows(open_log, 0, open_log.size))
        assert found == log.rows()
        assert [row.place for row in found] == list(range(len(log.entries)))
        assert [row.kind for row in found][:6] == [
            "request", "response", "request", "refused", "request", "no-answer"
        ]  # fmt: skip

    def test_a_row_says_what_the_record_says_and_no_more(self, pair: Pair) -> None:
        """Client, service, the right's endpoint, sizes, status; nothing of path, query or headers."""
        request, response = pair.consumer.rows(0, 2)
        assert (request.client, request.method, request.endpoint) == (CLIENT, "GET", "GET /countries/*")
        assert (response.status, response.size, response.bound_leaf, response.bound_place) == (404, 10, request.leaf, 0)
        assert set(Row._fields) & {"path", "query", "headers", "user", "address"} == set()

    def test_a_streamed_head_has_no_size_and_its_tail_has(self, pair: Pair) -> None:
        """The tail is bound to the head, by its place in the maker's log."""
        head, tail = pair.provider.rows()[-2:]
        assert (head.size, tail.size, tail.outcome) == (None, 5_000_000, "complete")
        assert (tail.bound_leaf, tail.bound_place) == (head.leaf, head.place)

    @pytest.mark.parametrize(
        ("leaf", "kind"), [(b"qaztech-log-continues 1\norigin x\n", "continues"), (b"\xff\x00", "foreign")]
    )
    def test_a_leaf_that_is_no_record_is_a_row_too(self, leaf: bytes, kind: str) -> None:
        """No index is left out for what stands there."""
        row = row_of("log", 7, START, leaf)
        assert (row.kind, row.message, row.record) == (kind, None, leaf)


class TestFiles:
    def test_rows_come_back_as_they_went(self, pair: Pair, tmp_path: Path) -> None:
        """Every column, every value, in order; nothing else is left in the folder."""
        path = tmp_path / "date=2026-11-23" / "part.parquet"
        assert write_part(path, pair.provider.rows())["response"] == 2
        found = [row for batch in read_part(path, len(pair.provider.entries)) for row in batch]
        assert found == pair.provider.rows()
        assert [p.name for p in path.parent.iterdir()] == ["part.parquet"]

    def test_another_number_of_rows_is_refused(self, pair: Pair, tmp_path: Path) -> None:
        """Before any row is looked at."""
        path = tmp_path / "part.parquet"
        write_part(path, pair.provider.rows())
        with pytest.raises(Malformed, match="number of rows"):
            list(read_part(path, 3))

    @pytest.mark.parametrize(
        "select", ["1 AS one", "NULL::VARCHAR AS log", "repeat('x', 1000000)::BLOB AS record"]
    )  # fmt: skip
    def test_other_columns_are_refused(self, tmp_path: Path, select: str) -> None:
        """Columns, their types and their size in memory are looked at first."""
        path = tmp_path / "part.parquet"
        with connect() as connection:
            connection.execute(f"COPY (SELECT {select}) TO {quoted(path)} (FORMAT parquet)")
        with pytest.raises(Malformed) as caught:
            list(read_part(path, 1))
        assert caught.value.code == "operational.file"

    @pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
    def test_what_is_no_parquet_is_refused(self, tmp_path: Path, damage: bytes) -> None:
        """By our error, not the engine's."""
        path = tmp_path / "part.parquet"
        path.write_bytes(damage)
        with pytest.raises(Malformed):
            list(read_part(path, 1))

    def test_a_damaged_file_is_refused_or_read_as_it_is(self, pair: Pair, tmp_path: Path) -> None:
        """A flipped byte anywhere ends in our error or in rows that judging will look at."""
        path = tmp_path / "part.parquet"
        write_part(path, pair.provider.rows())
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 8)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            try:
                list(read_part(path, len(pair.provider.entries)))
            except Malformed:
                continue

    def test_what_cannot_be_written_leaves_nothing(self, pair: Pair, tmp_path: Path) -> None:
        """By our error, and the next round finds the place clean."""
        path = tmp_path / "part.parquet"
        (tmp_path / "part.parquet.new").mkdir()
        with pytest.raises((Unavailable, OSError)):
            write_part(path, pair.provider.rows())
        (tmp_path / "part.parquet.new").rmdir()
        with pytest.raises(Unavailable):
            operational_parquet.join_parts([tmp_path / "gone.parquet"], path)
        assert list(tmp_path.iterdir()) == []

    def test_without_the_engine_one_is_told_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """DuckDB is optional."""
        monkeypatch.setitem(operational_parquet.engine.__globals__["__builtins__"], "__import__", _no_duckdb)
        with pytest.raises(Unavailable, match="qaztech"):
            operational_parquet.engine()

    def test_the_columns_are_those_of_a_row(self) -> None:
        """In the same order."""
        assert tuple(COLUMNS) == Row._fields


_import = __import__


def _no_duckdb(name: str, *args, **options):
    if name == "duckdb":
        raise ImportError(name)
    return _import(name, *args, **options)


class TestManifest:
    def test_one_spelling(self, pair: Pair) -> None:
        """What was written is read; with a space more it is not."""
        written = format_manifest(pair.consumer.manifest(0, 6))
        assert format_manifest(parse_manifest(written)) == written
        with pytest.raises(Malformed):
            parse_manifest(written.replace(b'"start":0', b'"start": 0'))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"start":0', b'"start":1'),
            (b'"stop":6', b'"stop":5'),
            (b'"request":3', b'"request":4'),
            (b'"no-answer":1,', b'"no-answers":1,'),
            (b"2026-11-23", b"2026-13-23"),
            (b"2026-11-23", b"2026/11/23"),
            (b"qaztech-operational 1", b"qaztech-operational 2"),
            (b'"length":1', b'"length":0'),
            (b'"sha256":"0', b'"sha256":"g'),
            (b'"parts":[', b'"more":1,"parts":['),
            (b"kz.qaztech", b"KZ.qaztech"),
        ],
    )
    def test_what_does_not_hold_together_is_refused(self, pair: Pair, old: bytes, new: bytes) -> None:
        """Ranges, counts, days, sizes."""
        written = format_manifest(pair.consumer.manifest(0, 6))
        assert old in written
        with pytest.raises(Malformed) as caught:
            parse_manifest(written.replace(old, new))
        assert caught.value.code == "operational.manifest"

    @pytest.mark.parametrize("data", [b"", b"[" * 100_000, b"\xff\n", b" " * (MAX_MANIFEST + 1), b"null\n"])
    def test_anything_else_is_refused(self, data: bytes) -> None:
        """By our error."""
        with pytest.raises(Malformed):
            parse_manifest(data)


class TestChoosing:
    def test_nothing_witnessed_nothing_delivered(self, pair: Pair, node: Path) -> None:
        """A delivery ends at a witnessed size."""
        pair.consumer.on_disk(node / "log")
        with view(node) as log:
            assert choose(log, 0, 100) is None

    def test_as_much_as_fits_else_the_next_witnessed_size(self, pair: Pair, node: Path) -> None:
        """It ends at the largest witnessed size within the limit, and later where there is none."""
        pair.consumer.on_disk(node / "log", 2, 4, 7)
        with view(node) as log:
            assert [choose(log, 0, most)[2] for most in (1, 2, 3, 6, 7, 100)] == [2, 2, 2, 4, 7, 7]
            assert choose(log, 4, 1)[2] == 7
            assert choose(log, 7, 100) is None
            with pytest.raises(Malformed):
                choose(log, 3, 100)


async def test_rounds_go_on_after_a_failure(pair: Pair, node: Path, hub: Hub) -> None:
    """A log that is not there yet, a disk that is full, a centre that is down: the next round makes up for it."""
    stop, rounds = asyncio.Event(), []

    class Data(OperationalData):
        def deliver(self, centre):
            rounds.append(len(rounds))
            if len(rounds) == 2:
                raise OSError(28, "No space left on device")
            if len(rounds) == 3:
                pair.consumer.on_disk(node / "log", 2)
            return super().deliver(hub)

    async def until_delivered() -> None:
        while len(rounds) < 4:
            await asyncio.sleep(0.005)
        stop.set()

    task = asyncio.create_task(until_delivered())
    await deliver_rounds(Data(node, clock=ManualClock(START)), hub, 0.01, stop)
    await task
    assert hub.sent == [(0, 2)]


class Broken:
    """A centre that takes nothing."""

    def __init__(self, hub: Hub) -> None:
        self.held = hub.held

    def deliver(self, delivery) -> None:
        raise AssertionError(delivery)


class TestDelivering:
    def test_all_that_is_witnessed_arrives_once(self, pair: Pair, node: Path, hub: Hub) -> None:
        """In as many deliveries as the limit asks for; then there is nothing more to deliver."""
        pair.consumer.on_disk(node / "log", 2, 4, 7)
        assert [(d.start, d.stop) for d in data(node, most=3).deliver(hub)] == [(0, 2), (2, 4), (4, 7)]
        assert data(node).deliver(hub) == []
        assert hub.held(pair.consumer.origin).size == 7
        assert [d.message for d in data(node).delivered()] == ["message-1", "message-2", "message-3"]

    def test_days_have_files_of_their_own(self, pair: Pair, node: Path, hub: Hub) -> None:
        """A delivery over midnight has a part for each day, named by it."""
        pair.now += DAY
        pair.answered()
        pair.consumer.on_disk(node / "log", len(pair.consumer.entries))
        data(node).deliver(hub)
        files = sorted(str(p.relative_to(node / "operational")) for p in node.glob("operational/date=*/*"))
        short = f"kz.qaztech.example_log_{pair.consumer.origin[-20:]}"
        assert files == [
            f"date=2026-11-23/part-{short}-{0:016d}-{9:016d}.parquet",
            f"date=2026-11-24/part-{short}-{9:016d}-{11:016d}.parquet",
        ]

    def test_what_is_in_flight_is_sent_again_as_it_was(self, pair: Pair, node: Path, hub: Hub) -> None:
        """A node killed before it heard the answer sends the same delivery, though more has been witnessed since."""
        pair.consumer.on_disk(node / "log", 2)
        with view(node) as log:
            first = data(node).prepare(log, 0)
        hub.deliver(first)
        pair.consumer.on_disk(node / "log", 2, 6)
        assert [(d.start, d.stop) for d in data(node).deliver(hub)] == [(2, 6)]
        assert hub.sent == [(0, 2), (2, 6)]

    def test_a_prepared_delivery_whose_file_is_gone_is_made_again(self, pair: Pair, node: Path, hub: Hub) -> None:
        """What lies beside the log can be deleted; the log is the truth."""
        pair.consumer.on_disk(node / "log", 2)
        with view(node) as log:
            data(node).prepare(log, 0).files[0].unlink()
        pair.consumer.on_disk(node / "log", 6)
        data(node).deliver(hub)
        assert hub.sent == [(0, 6)]

    def test_a_stray_file_does_not_stay_beside_the_one_that_counts(self, pair: Pair, node: Path, hub: Hub) -> None:
        """A node killed before the manifest was written leaves no row twice."""
        pair.consumer.on_disk(node / "log", 2)
        with view(node) as log:
            data(node).prepare(log, 0)
        next((node / "operational/deliveries").glob("*.json")).unlink()
        pair.consumer.on_disk(node / "log", 6)
        data(node).deliver(hub)
        assert [p.name[-24:-8] for p in node.glob("operational/date=*/*")] == [f"{6:016d}"]

    def test_a_centre_that_has_lost_something_gets_it_again(self, pair: Pair, node: Path, tmp_path: Path) -> None:
        """It says what it holds, and the node goes on from there."""
        pair.consumer.on_disk(node / "log", 2, 4)
        first, second = Hub(tmp_path / "one", *pair.logs), Hub(tmp_path / "two", *pair.logs)
        data(node, most=2).deliver(first)
        pair.consumer.on_disk(node / "log", 6)
        assert [d.stop for d in data(node, most=2).deliver(second)] == [2, 4, 6]
        first.close()
        second.close()

    def test_a_node_that_has_lost_its_notes_goes_on(self, pair: Pair, node: Path, hub: Hub) -> None:
        """It asks the centre where it was."""
        pair.consumer.on_disk(node / "log", 2)
        data(node).deliver(hub)
        for path in (node / "operational").rglob("*"):
            if path.is_file():
                path.unlink()
        pair.consumer.on_disk(node / "log", 6)
        assert [(d.start, d.stop) for d in data(node).deliver(hub)] == [(2, 6)]

    def test_a_centre_that_holds_another_history_is_not_served(self, pair: Pair, node: Path) -> None:
        """A root that this log never had, or more than it has."""
        pair.consumer.on_disk(node / "log", 2)

        class Other:
            def held(self, origin: str) -> Held:
                return Held(origin=origin, size=2, root=PROVIDER.code)

        with pytest.raises(Untrusted) as caught:
            data(node).deliver(Other())
        assert caught.value.code == "operational.contradicted"

    def test_delivered_files_may_go_after_some_days(self, pair: Pair, node: Path, hub: Hub) -> None:
        """Those of past days, once they were delivered; what is not delivered stays."""
        pair.consumer.on_disk(node / "log", 2)
        data(node).deliver(hub)
        old = data(node, keep_days=2)
        old._clock.advance(2 * DAY)
        old.deliver(hub)
        assert len(list(node.glob("operational/date=*/*"))) == 1
        old._clock.advance(DAY)
        pair.consumer.on_disk(node / "log", 4)
        with view(node) as log:
            waiting = data(node).prepare(log, 2)
        with pytest.raises(AssertionError):
            old.deliver(Broken(hub))
        assert waiting.files[0].exists()
        old.deliver(hub)
        assert list(node.glob("operational/date=*/*")) == []
        assert hub.held(pair.consumer.origin).size == 4

    def test_one_process_at_a_time(self, node: Path) -> None:
        """Two would write the same files."""
        node.mkdir()
        lock = data(node).lock()
        with pytest.raises(Conflict):
            data(node).lock()
        os.close(lock)
        os.close(data(node).lock())


def posted(pair: Pair) -> None:
    """A delivery as both logs have it: a streamed request, its end, its answer."""
    request, place = pair.request(method="POST", size="-")
    tail = pair.tail("request-tail", request, place, 100_000)
    response = pair.bound("response", request, place, status=200, size=10, headers=_HASH, body=_HASH)
    for log in pair.logs:
        log.append(tail.data, pair.tick())
        log.append(response.data, pair.tick())


class TestQuiet:
    def test_deliveries_alone_give_rise_to_no_other(self, pair: Pair, node: Path, hub: Hub) -> None:
        """They wait for something else, or for an hour; without the setting they are delivered as they come."""
        log, clock = pair.consumer, ManualClock(START + 1000)
        log.on_disk(node / "log", len(log.entries))
        quiet = OperationalData(node, clock=clock, quiet=SERVICE)
        assert len(quiet.deliver(hub)) == 1
        posted(pair)
        log.on_disk(node / "log", len(log.entries))
        assert quiet.deliver(hub) == []
        pair.answered()
        log.on_disk(node / "log", len(log.entries))
        assert [each.stop for each in quiet.deliver(hub)] == [len(log.entries)]
        posted(pair)
        log.on_disk(node / "log", len(log.entries))
        assert quiet.deliver(hub) == []
        clock.advance(pair.now - START + LONGEST_WAIT)
        assert [each.stop for each in quiet.deliver(hub)] == [len(log.entries)]
        posted(pair)
        log.on_disk(node / "log", len(log.entries))
        assert len(data(node).deliver(hub)) == 1

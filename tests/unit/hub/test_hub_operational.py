"""The centre's service: who may deliver what, what is refused, what is kept as a finding, what members are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from operational_logs import CLIENT, PROVIDER, SERVICE, START, Hub, Pair, WrittenLog
from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.evidence.note import ED25519
from qaztech.hub.compaction import compact
from qaztech.hub.crosscheck import Finding
from qaztech.hub.delivery import Contradicted, HeldLog, Judgement
from qaztech.hub.receiving import AT_ONCE
from qaztech.hub.traffic import CENTRE
from qaztech.node.operational_manifest import MAX_MANIFEST, Manifest, format_manifest
from qaztech.node.operational_parquet import file_facts, write_part
from qaztech.node.operational_rows import Row, row_of

pytest.importorskip("duckdb")


@pytest.fixture
def pair() -> Pair:
    """Two answered exchanges: four leaves on each side."""
    pair = Pair()
    pair.answered()
    pair.answered(status=500)
    return pair


@pytest.fixture
def hub(tmp_path: Path, pair: Pair) -> Iterator[Hub]:
    """The centre."""
    hub = Hub(tmp_path / "hub", *pair.logs)
    yield hub
    hub.close()


def body(tmp_path: Path, log: WrittenLog, start: int, stop: int, rows: list[Row] | None = None, **change) -> bytes:
    """A delivery of these leaves, or of other rows under the same claim."""
    rows = log.rows(start, stop) if rows is None else rows
    manifest = log.manifest(start, stop)
    path = tmp_path / "part.parquet"
    write_part(path, rows)
    length, digest = file_facts(path)
    part = msgspec.structs.replace(manifest.parts[0], length=length, sha256=digest)
    manifest = msgspec.structs.replace(manifest, **{"parts": [part], **change})
    return format_manifest(manifest) + path.read_bytes()


class Alike(WrittenLog):
    """A log under an origin with another's last part."""

    @property
    def origin(self) -> str:
        return f"other.example/log/{self.number:020x}"


def refused(hub: Hub, log: WrittenLog, data: bytes, status: int, code: str, *, client: str = "") -> None:
    """It is refused with that code, and nothing is held for it."""
    before = hub.store.held(log.origin)
    answer = hub.post(data, log.origin, client)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert hub.store.held(log.origin) == before
    assert list((hub.store.directory / "incoming").glob("*")) == []


class TestTaking:
    def test_what_was_delivered_is_held(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """With the log's own root, and the file byte for byte."""
        log = pair.consumer
        answer = hub.post(body(tmp_path, log, 0, 4), log.origin)
        assert answer.json()["size"] == 4
        assert hub.store.held(log.origin).root == log.claim(0, 4).after
        (file,) = hub.store.directory.glob("date=*/*.parquet")
        assert file.read_bytes() == (tmp_path / "part.parquet").read_bytes()
        assert hub.get(f"/held?origin={log.origin}", log.origin).json() == answer.json()

    def test_the_same_again_changes_nothing(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """A node that did not hear the answer asks again and gets it."""
        log = pair.consumer
        data = body(tmp_path, log, 0, 2)
        first, again = hub.post(data, log.origin).json(), hub.post(data, log.origin).json()
        assert first == again
        assert len(hub.store.deliveries()) == 1
        assert hub.codes() == []

    def test_an_older_delivery_again_is_answered_with_what_is_held(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """It stands already, whatever came after it."""
        log = pair.consumer
        data = body(tmp_path, log, 0, 2)
        hub.post(data, log.origin)
        hub.post(body(tmp_path, log, 2, 4), log.origin)
        assert hub.post(data, log.origin).json()["size"] == 4

    @pytest.mark.parametrize(("start", "stop"), [(2, 4), (3, 4), (1, 2)])
    def test_a_gap_is_refused(self, hub: Hub, pair: Pair, tmp_path: Path, start: int, stop: int) -> None:
        """Each delivery begins where the one before ended."""
        log = pair.consumer
        refused(hub, log, body(tmp_path, log, start, stop), 409, "operational.gap")

    def test_an_overlap_is_refused(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """No leaf is counted twice."""
        log = pair.consumer
        hub.post(body(tmp_path, log, 0, 2), log.origin)
        refused(hub, log, body(tmp_path, log, 0, 4), 409, "operational.gap")
        refused(hub, log, body(tmp_path, log, 1, 4), 409, "operational.gap")

    def test_strays_of_a_killed_centre_are_removed(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """A file that no delivery names does not count, and goes."""
        log = pair.consumer
        hub.post(body(tmp_path, log, 0, 2), log.origin)
        stray = next(hub.store.directory.glob("date=*/*")).with_name("part-x.parquet")
        stray.write_bytes(b"x")
        assert (hub.store.tidy(), stray.exists()) == (1, False)
        assert len(list(hub.store.directory.glob("date=*/*"))) == 1


class TestWhoMay:
    def test_only_the_member_whose_log_it_is(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Another member's word about a log is not taken, nor is it told what is held."""
        log, other = pair.consumer, SERVICE.rpartition("/")[0]
        refused(hub, log, body(tmp_path, log, 0, 4), 403, "operational.sender", client=other)
        assert hub.get(f"/held?origin={log.origin}", pair.provider.origin).status_code == 403

    def test_a_log_that_nobody_has_is_refused(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """The verified configuration says whose a log is."""
        log = WrittenLog(3, list(pair.consumer.entries))
        refused(hub, log, body(tmp_path, log, 0, 4), 404, "operational.unknown-log", client=CLIENT)

    def test_an_origin_that_ends_like_anothers(self, pair: Pair, tmp_path: Path) -> None:
        """Whoever names a log so cannot put files in the place of the other's."""
        log, other = pair.consumer, Alike(1, list(pair.consumer.entries))
        hub = Hub(tmp_path / "hub", log, other)
        for each in (log, other):
            assert hub.post(body(tmp_path, each, 0, 4), each.origin).status_code == 200
        assert len(hub.deliveries.traffic.rows(START, START + 1000)) == 8
        hub.close()

    @pytest.mark.parametrize("client", ["x", "KZ/GOV/991340000017", "KZ/GOV/991340000017/permits/extra"])
    def test_a_caller_without_a_name_is_refused(self, hub: Hub, pair: Pair, client: str) -> None:
        """The centre's node always says who calls."""
        assert hub.post(b"", pair.consumer.origin, client).status_code == 400

    def test_nobody_from_another_machine(self, hub: Hub, pair: Pair) -> None:
        """The header is believed because it comes from the centre's own node."""
        hub._caller._address = "192.0.2.1"
        assert hub.post(b"", pair.consumer.origin).json()["code"] == "operational.remote"

    def test_one_member_that_sends_slowly_keeps_no_other_out(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Of those heard at one time some are always somebody else's; who has ended may come again."""
        data = body(tmp_path, pair.provider, 0, 4)
        slow, other = SubsystemId.parse(CLIENT), ServiceId.parse(SERVICE).subsystem

        async def whole() -> AsyncIterator[bytes]:
            yield data

        async def run() -> None:
            ended = asyncio.Event()

            async def stalled() -> AsyncIterator[bytes]:
                yield b"{"
                await ended.wait()

            tasks = [asyncio.create_task(hub.deliveries.receive(slow, stalled())) for _ in range(AT_ONCE)]
            await asyncio.wait(tasks[2:], timeout=20)
            assert [task.done() for task in tasks] == [False, False, True, True]
            assert (await hub.deliveries.receive(other, whole())).size == 4
            ended.set()
            errors = await asyncio.gather(*tasks, return_exceptions=True)
            assert [error.code for error in errors if isinstance(error, Error)] == [
                *["operational.file"] * 2, *["operational.busy"] * 2
            ]  # fmt: skip
            with pytest.raises(Malformed):
                await hub.deliveries.receive(slow, stalled())

        asyncio.run(run())


class TestForged:
    """Rows that do not add up to the signed roots are refused, and kept as findings with the manifest."""

    def found(self, hub: Hub, log: WrittenLog, data: bytes, code: str) -> None:
        refused(hub, log, data, 502, code)
        refused(hub, log, data, 502, code)
        (kept,) = hub.store.findings()
        assert (kept.finding.code, kept.finding.level, kept.finding.origin) == (code, "contradiction", log.origin)
        assert json.loads(kept.evidence)["origin"] == log.origin

    def test_a_record_put_in_the_place_of_another(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """The root shows it."""
        log = pair.consumer
        rows = log.rows(0, 4)
        forged = rows[1].record.replace(b"status 200", b"status 500")
        rows[1] = row_of(log.origin, 1, rows[1].recorded, forged)
        self.found(hub, log, body(tmp_path, log, 0, 4, rows), "operational.incomplete")

    def test_a_row_that_says_other_than_its_record(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Every column is made again from the record; that each is compared is a property."""
        log = pair.consumer
        rows = log.rows(0, 4)
        rows[3] = rows[3]._replace(status=None)
        self.found(hub, log, body(tmp_path, log, 0, 4, rows), "operational.forged-row")

    def test_a_leaf_left_out_and_another_put_in(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Each index once: neither skipped nor twice."""
        log = pair.consumer
        rows = log.rows(0, 4)
        self.found(hub, log, body(tmp_path, log, 0, 4, [rows[0], rows[2], rows[3], rows[3]]), "operational.gap-in-rows")

    def test_rows_moved_up(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """With the right indexes over the wrong records the root shows it."""
        log = pair.consumer
        moved = [0, 2, 3, 3]
        rows = [row_of(log.origin, at, log.entries[at][0], log.entries[of][1]) for at, of in enumerate(moved)]
        self.found(hub, log, body(tmp_path, log, 0, 4, rows), "operational.incomplete")

    @pytest.mark.parametrize("recorded", [START + 86_400_000, -1, 2**62, None])
    def test_a_time_that_cannot_be(self, pair: Pair, recorded: int | None) -> None:
        """Not of the day its file is for, none at all."""
        log = pair.consumer
        rows = log.rows(0, 4)
        rows[2] = rows[2]._replace(recorded=recorded)
        with pytest.raises(Contradicted):
            Judgement(log.claim(0, 4), HeldLog(origin=log.origin)).feed("2026-11-23", rows)

    def test_a_time_after_the_witnesses(self, pair: Pair) -> None:
        """A leaf that a quorum had seen was there by then."""
        log = pair.consumer
        rows, claim = log.rows(0, 4), log.claim(0, 4)
        for latest, odd in ((rows[3].recorded, None), (rows[3].recorded - 1, 3)):
            judgement = Judgement(replace(claim, latest=latest), HeldLog(origin=log.origin))
            judgement.feed("2026-11-23", rows)
            assert judgement.finish().odd_time == odd

    def test_a_clock_that_was_set_stops_no_delivery(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """What is recorded before the leaf before it is told as a finding, and what follows is taken."""
        log = pair.consumer
        at, entry = log.entries[1]
        log.entries[1] = (at - 1000, entry)
        assert hub.post(body(tmp_path, log, 0, 2), log.origin).status_code == 200
        assert hub.codes() == ["operational.time"]
        assert hub.post(body(tmp_path, log, 2, 4), log.origin).status_code == 200
        assert hub.codes() == ["operational.time"]

    def test_kinds_miscounted(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """The manifest says how many of each there are."""
        log = pair.consumer
        data = body(tmp_path, log, 0, 4, kinds={"request": 3, "response": 1})
        self.found(hub, log, data, "operational.counts")

    def test_a_second_history(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """A log that signed two roots of one size is forked, also when the same range is delivered again."""
        log = pair.consumer
        hub.post(body(tmp_path, log, 0, 2), log.origin)
        other = WrittenLog(1, [log.entries[0], (log.entries[1][0], b"another"), *log.entries[2:]])
        refused(hub, log, body(tmp_path, other, 2, 4), 502, "operational.forked")
        refused(hub, log, body(tmp_path, other, 0, 2), 502, "operational.forked")
        assert hub.codes() == ["operational.forked", "operational.forked"]


class TestCheckpoints:
    def test_a_checkpoint_nobody_signed(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Both checkpoints are verified with the log's keys and the witnesses' policy."""
        log, other = pair.consumer, pair.provider
        note = log.checkpoint(4).replace(b"\xe2\x80\x94 kz", b"\xe2\x80\x94 xz")
        refused(hub, log, body(tmp_path, log, 0, 4, after=note.decode()), 502, "checkpoint.unsigned")
        for wrong in (log.checkpoint(3), other.checkpoint(4)):
            data = body(tmp_path, log, 0, 4, after=wrong.decode())
            refused(hub, log, data, 502, "operational.checkpoint")
        data = body(tmp_path, log, 0, 4, before=log.checkpoint(4).decode())
        refused(hub, log, data, 502, "operational.checkpoint")
        refused(hub, log, body(tmp_path, log, 0, 4, after="no"), 400, "note.malformed")
        assert hub.codes() == []

    def test_what_is_not_witnessed(self, tmp_path: Path, pair: Pair) -> None:
        """A quorum must have cosigned."""
        from qaztech.evidence.note import COSIGNATURE_ED25519, VerifierKey
        from qaztech.evidence.policy import Policy

        witness = VerifierKey.of("w", COSIGNATURE_ED25519, pair.consumer.key.public)
        hub = Hub(tmp_path / "hub", *pair.logs)
        hub.deliveries._policy = Policy.parse(f"witness w {witness}\nquorum w\n".encode())
        refused(hub, pair.consumer, body(tmp_path, pair.consumer, 0, 4), 502, "policy.quorum")
        hub.close()
        assert ED25519 != COSIGNATURE_ED25519


class TestBodies:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "operational.file"),
            (b"{}\n", "operational.manifest"),
            (b"x" * (MAX_MANIFEST + 2), "operational.manifest"),
            (b"\x00" * 100, "operational.file"),
        ],
    )
    def test_what_is_no_delivery(self, hub: Hub, pair: Pair, data: bytes, code: str) -> None:
        """Read no further than its first line."""
        refused(hub, pair.consumer, data, 400, code)

    def test_files_other_than_the_manifest_names(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Cut short, longer, other bytes, no Parquet at all."""
        log = pair.consumer
        data = body(tmp_path, log, 0, 4)
        for other in (data[:-1], data + b"x", data[:-1] + b"x"):
            refused(hub, log, other, 400, "operational.file")
        junk = bytes(100)
        part = msgspec.structs.replace(
            log.manifest(0, 4).parts[0], length=100, sha256=sha256(junk).hexdigest()
        )  # fmt: skip
        manifest = msgspec.structs.replace(log.manifest(0, 4), parts=[part])
        refused(hub, log, format_manifest(manifest) + junk, 400, "operational.file")
        huge = msgspec.structs.replace(manifest, parts=[msgspec.structs.replace(part, length=2**40)])
        refused(hub, log, format_manifest(huge), 400, "operational.file")

    def test_more_leaves_than_are_taken_at_once(self, hub: Hub, pair: Pair) -> None:
        """The limit is told before anything is received."""
        log = pair.consumer
        manifest: Manifest = log.manifest(0, 4)
        part = msgspec.structs.replace(manifest.parts[0], stop=10**9)
        manifest = msgspec.structs.replace(
            manifest, stop=10**9, parts=[part], kinds={"request": 10**9 - 2, "response": 2}
        )  # fmt: skip
        refused(hub, log, format_manifest(manifest), 429, "operational.too-large")


class TestTotals:
    def test_a_member_is_told_its_own(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """Over the period it asks for."""
        hub.post(body(tmp_path, pair.consumer, 0, 4), pair.consumer.origin)
        period = f"since={START}&until={START + 1000}"
        for log in pair.logs:
            (total,) = hub.get(f"/totals?{period}", log.origin).json()
            assert (total["service"], total["calls"], total["succeeded"]) == (SERVICE, 2, 1)
        answer = hub._caller.get(f"/totals?{period}", {"x-road-client": "KZ/GOV/991340000018/x"})
        assert answer.json() == []
        assert str(PROVIDER) in SERVICE

    def test_a_member_is_shown_its_own_exchanges_and_findings(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """One by one; what was found is told to those whose logs it is about."""
        hub.post(body(tmp_path, pair.consumer, 0, 4), pair.consumer.origin)
        shown = hub.get(f"/exchanges?since={START}&until={START + 1000}", pair.provider.origin).json()
        assert [(e["status"], e["outcome"], e["side"]) for e in shown] == [
            (500, "answered", "consumer"), (200, "answered", "consumer")
        ]  # fmt: skip
        stranger = {"x-road-client": "KZ/GOV/991340000018/x"}
        assert hub._caller.get(f"/exchanges?since={START}&until={START + 1000}", stranger).json() == []
        finding = Finding(
            code="exchange.ends-differ", level="difference", origin=pair.consumer.origin, other=pair.provider.origin,
            message="m", place=1, detail="d",
        )  # fmt: skip
        hub.store.keep([finding], now=START)
        for log in pair.logs:
            (told,) = hub.get("/findings", log.origin).json()
            assert (told["code"], told["found"]) == ("exchange.ends-differ", START)
        assert hub._caller.get("/findings", stranger).json() == []

    def test_a_file_that_is_gone_is_told(self, hub: Hub, pair: Pair, tmp_path: Path) -> None:
        """By our error; the centre goes on."""
        hub.post(body(tmp_path, pair.consumer, 0, 4), pair.consumer.origin)
        next(hub.store.directory.glob("date=*/*")).unlink()
        answer = hub.get(f"/totals?since={START}&until={START + 1000}", pair.consumer.origin)
        assert (answer.status_code, answer.json()["code"]) == (503, "operational.store")

    @pytest.mark.parametrize("period", ["", "since=1&until=x", "since=5&until=1", f"since=0&until={2**45}"])
    def test_a_period_that_is_none(self, hub: Hub, pair: Pair, period: str) -> None:
        """Both ends are needed, in order, not further apart than a year."""
        answer = hub.get(f"/totals?{period}", pair.consumer.origin)
        assert (answer.status_code, answer.json()["code"]) == (400, "operational.period")


class TestComparing:
    """The app compares the two sides' rows, and looks for logs that are not delivered."""

    def check(self, hub: Hub) -> list[str]:
        return [finding.code for finding in asyncio.run(hub.deliveries.cross_check())]

    def test_what_was_delivered_is_compared_once(self, tmp_path: Path) -> None:
        """A call that the provider has invented is found when both logs are held; then there is nothing new."""
        pair = Pair()
        pair.answered()
        pair.request()
        pair.consumer.entries.pop()
        pair.later()
        hub = Hub(tmp_path / "hub", *pair.logs)
        assert self.check(hub) == []
        for log in pair.logs:
            hub.post(body(tmp_path, log, 0, len(log.entries)), log.origin)
        assert self.check(hub) == ["exchange.not-made"]
        assert self.check(hub) == []
        assert asyncio.run(hub.deliveries.cross_check(START)) == []
        hub.close()

    def test_a_log_that_is_not_delivered_is_found(self, tmp_path: Path) -> None:
        """Others name it, an hour has passed, and nothing came; once it has come nothing more is found."""
        pair = Pair()
        pair.answered()
        pair.later()
        hub = Hub(tmp_path / "hub", *pair.logs)
        consumer, provider = pair.logs
        hub.post(body(tmp_path, consumer, 0, 3), consumer.origin)
        assert self.check(hub) == []
        hub.deliveries._clock.advance(3 * 3_600_000)
        assert [f.code for f in asyncio.run(hub.deliveries.cross_check(START))] == ["exchange.not-delivered"]
        assert hub.store.findings()[0].finding.origin == provider.origin
        hub.post(body(tmp_path, provider, 0, 3), provider.origin)
        assert asyncio.run(hub.deliveries.cross_check(START)) == []
        hub.close()

    def test_a_call_in_anothers_name_is_found(self, tmp_path: Path) -> None:
        """A log speaks for its own members alone: as consumer for the client's, as provider for the service's."""
        pair = Pair()
        pair.answered()
        request, _ = pair.request()
        forged = request.data.replace(CLIENT.encode(), b"KZ/GOV/991340000099/permits")
        pair.consumer.entries[-1] = (pair.now, forged)
        pair.provider.entries.pop()
        stranger = WrittenLog(2, [(START, pair.consumer.entries[0][1].replace(b"log/0", b"log/1"))])
        hub = Hub(tmp_path / "hub", pair.consumer, stranger)
        for log in (pair.consumer, stranger):
            hub.post(body(tmp_path, log, 0, len(log.entries)), log.origin)
        assert self.check(hub) == []
        hub.deliveries._clock.advance(1_800_000)
        found = asyncio.run(hub.deliveries.cross_check(START))
        assert [(f.code, f.origin, f.place) for f in found] == [
            ("exchange.not-its-party", pair.consumer.origin, 2),
            ("exchange.not-its-party", stranger.origin, 0),
        ]
        hub.close()


def test_a_day_put_together_counts_the_same(hub: Hub, pair: Pair, tmp_path: Path) -> None:
    """Many files become one, the old ones go, totals stay; a delivery that comes later is put to it."""
    log, other = pair.logs
    for start in (0, 2):
        hub.post(body(tmp_path, log, start, start + 2), log.origin)
    before = hub.deliveries.traffic.totals(CENTRE, START, START + 1000)
    assert compact(hub.store, "2026-11-23") == 2
    assert hub.deliveries.traffic.totals(CENTRE, START, START + 1000) == before
    assert hub.store.tidy() == 2
    assert hub.deliveries.traffic.totals(CENTRE, START, START + 1000) == before
    hub.post(body(tmp_path, other, 0, 4), other.origin)
    assert compact(hub.store, "2026-11-23") == 2
    assert compact(hub.store, "2026-11-23") == 1
    assert compact(hub.store, "2026-11-24") == 0
    assert hub.store.tidy() == 2
    rows = hub.deliveries.traffic.rows(START, START + 1000)
    assert rows == [*log.rows(), *other.rows()]

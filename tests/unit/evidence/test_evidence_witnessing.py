"""A log's side of witnessing: what a quorum cosigned is kept; a log that witnesses contradict must not go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from qaztech.core.errors import Halt, NotFound, Unavailable
from qaztech.core.time import ManualClock
from qaztech.evidence.cosignature import Cosigner
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.note import ED25519, ML_DSA_44, VerifierKey
from qaztech.evidence.policy import Policy
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.witness import SIZE, SqliteWitnessStore, Witness
from qaztech.evidence.witnessing import GRACE, Contradicted, Witnessing
from qaztech.registry.founding import policy_lines, with_quorum
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
NAMES = ("one", "two", "three")
KEY, HYBRID = Ed25519Key.from_seed(b"\1" * 32), MlDsa44Key.from_seed(b"\2" * 32)
KEYS = (VerifierKey.of(ORIGIN, ED25519, KEY.public), VerifierKey.of(ORIGIN, ML_DSA_44, HYBRID.public))


class Place:
    """A log on disk, and three witnesses of it; `answers` stand for what one of them says instead of its own."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self.folder = folder
        self.files = files
        self.clock = ManualClock()
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.mute: set[str] = set()
        self.witnesses: dict[str, Witness] = {}
        lines = []
        for number, name in enumerate(NAMES):
            keys = Cosigner(name=f"w/{name}", ed25519=Ed25519Key.from_seed(bytes([8, number]) * 16))
            store = files.enter_context(closing(SqliteWitnessStore(":memory:")))
            self.witnesses[name] = Witness(store=store, keys=keys, log_keys=lambda _: KEYS, clock=self.clock)
            lines += policy_lines(name, keys.verifier_keys, f"http://{name}")
        self.policy = Policy.parse(with_quorum("\n".join(lines)).encode())

    def log(self, name: str, entries: int) -> OpenLog:
        log = self.files.enter_context(
            Log.create(self.folder / name, storage=OsStorage(), key=KEY, origin=ORIGIN, clock=self.clock)
        )
        return OpenLog(self, log, entries)

    async def post(self, url: str, body: bytes) -> tuple[int, str, bytes]:
        name = url.removeprefix("http://").removesuffix("/add-checkpoint")
        if name in self.answers:
            return self.answers[name]
        answer = self.witnesses[name].add_checkpoint(body)
        return answer.status, answer.content_type, answer.body

    def get(self, url: str) -> bytes:
        name, _, path = url.removeprefix("http://").partition("/")
        if name in self.mute:
            raise Unavailable("outbound.unreachable", "down")
        answer = self.witnesses[name].checkpoint(path)
        if answer.status == 404:
            raise NotFound("outbound.missing", "nothing")
        return answer.body


class OpenLog:
    """One copy of the log, with its witnessing."""

    origin = ORIGIN

    def __init__(self, place: Place, log: Log, entries: int) -> None:
        self.log = log
        self.kept: list[int] = []
        self.consistency_proof = log.consistency_proof
        self.append(entries)
        self.witnessing = Witnessing(
            log=self, policy=place.policy, keys=KEYS, hybrid=HYBRID, post=place.post, get=place.get, clock=place.clock
        )

    def append(self, entries: int, text: bytes = b"") -> None:
        for number in range(entries):
            self.log.commit([Entry(bytes(16), 1_800_000_000_000, b"%b%d" % (text, number))])

    @property
    def size(self) -> int:
        return self.log.size

    def checkpoint_note(self) -> bytes:
        return self.log.head.note

    def holds(self, size: int, root: bytes) -> bool:
        return size <= self.log.size and self.log.root_at(size) == root

    def keep_witnessed(self, size: int, note: bytes) -> None:
        del note
        self.kept.append(size)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as files:
        yield Place(tmp_path, files)


async def test_a_witness_that_missed_the_last_entry_gets_it_later(place: Place) -> None:
    """Though the log did not grow since; the others are left alone."""
    log = place.log("log", 3)
    place.answers["three"] = (500, "", b"")
    assert (await log.witnessing.round()).checkpoint.size == 3
    assert log.witnessing.missing() == ("three",)
    assert await log.witnessing.round() is None
    place.answers = {"one": (500, "", b""), "two": (500, "", b"")}
    assert await log.witnessing.round() is None
    assert (log.witnessing.missing(), log.kept) == ((), [3])
    assert place.witnesses["three"].seen(ORIGIN).size == 3


async def test_what_a_quorum_cosigned_is_kept(place: Place) -> None:
    """One round a size; with one witness of three away it still is a quorum, with two it is not."""
    log = place.log("log", 3)
    witnessed = await log.witnessing.round()
    assert witnessed is not None
    assert (witnessed.checkpoint.size, log.kept, set(witnessed.times)) == (3, [3], set(NAMES))
    assert await log.witnessing.round() is None
    log.append(1)
    place.answers["three"] = (500, "", b"")
    assert (await log.witnessing.round()).checkpoint.size == 4
    assert log.witnessing.states["three"].failure
    log.append(1)
    place.answers["two"] = (200, "", b"")
    with pytest.raises(Unavailable, match="quorum"):
        await log.witnessing.round()


async def test_a_restored_log_is_told_at_its_start(place: Place) -> None:
    """Also a hybrid one: a witness looks at a checkpoint only when both keys have signed it."""
    await place.log("log", 5).witnessing.round()
    restored = place.log("restored", 3)
    with pytest.raises(Contradicted, match=r"at size 5, another history than the 3 entries here.*renew-log"):
        await restored.witnessing.ask_what_was_seen()


async def test_a_copy_that_went_another_way_is_told(place: Place) -> None:
    """As large as the one witnessed, or larger, but with another entry in it."""
    await place.log("log", 5).witnessing.round()
    for name, entries in (("same", 1), ("larger", 4)):
        copy = place.log(name, 4)
        copy.append(entries, b"else")
        with pytest.raises(Contradicted):
            await copy.witnessing.ask_what_was_seen()
        with pytest.raises(Contradicted):
            await copy.witnessing.round()


async def test_a_log_that_witnesses_know_goes_on(place: Place) -> None:
    """A start is no contradiction: the same log, or one that grew since, and one never seen."""
    log = place.log("log", 5)
    await log.witnessing.ask_what_was_seen()
    await log.witnessing.ask_what_was_seen()
    log.append(2)
    await log.witnessing.ask_what_was_seen()
    assert log.kept == []


@pytest.mark.parametrize(
    "lie", [(409, SIZE, b"1000000\n"), (409, "text/plain", b"no\n"), (422, "", b"no\n")], ids=["size", "root", "proof"]
)
async def test_one_witness_alone_must_show_what_it_claims(place: Place, lie: tuple[int, str, bytes]) -> None:
    """Else any one of them could halt every log of the country; two of three leave no quorum, and are believed."""
    log = place.log("log", 3)
    await log.witnessing.round()
    log.append(1)
    place.answers["two"] = lie
    await log.witnessing.ask_what_was_seen()
    assert (await log.witnessing.round()).checkpoint.size == 4
    assert "without showing" in log.witnessing.states["two"].failure
    place.mute = {"two"}
    await log.witnessing.ask_what_was_seen()
    place.answers["three"] = lie
    log.append(1)
    with pytest.raises(Contradicted, match="two, three"):
        await log.witnessing.round()


async def test_witnesses_have_a_moment_before_their_silence_is_told(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that start with the log are not complained of; those that stay away are, once, until they are back."""
    caplog.set_level("INFO", "qaztech.witnessing")
    log = place.log("log", 1)
    down = dict.fromkeys(NAMES, (503, "", b""))
    place.answers = dict(down)
    running = asyncio.create_task(log.witnessing.run(0.001, lambda _: None))

    async def until(done: Callable[[], bool]) -> list[str]:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.001)
        return [record.message for record in caplog.records]

    try:
        assert await until(lambda: log.witnessing.failing is not None) == []
        place.answers = {}
        assert await until(lambda: log.witnessing.failing is None) == []
        place.answers = dict(down)
        log.append(1, b"more")
        await until(lambda: log.witnessing.failing is not None)
        place.clock.advance(GRACE)
        assert await until(lambda: bool(caplog.records)) == ["witnessing failed, and is tried again"]
        place.answers = {}
        assert (await until(lambda: log.witnessing.failing is None))[1:] == ["witnessed again"]
    finally:
        running.cancel()


async def test_the_loop_ends_when_the_log_is_contradicted(place: Place) -> None:
    """Whoever owns the log is told, once."""
    await place.log("log", 5).witnessing.round()
    told: list[Halt] = []
    await place.log("restored", 2).witnessing.run(0.001, told.append)
    assert [why.code for why in told] == ["log.contradicted"]

"""A log copied while it grows: each copy opens, proves what it holds, and is the beginning of the log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qaztech.core.time import SystemClock
from qaztech.evidence.copying import copy_of
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.runtime.archive import check_archive, unpack, write_archive
from qaztech.trust.keys import Ed25519Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
MOST = 3000  # entries it grows by: on a quick disk it would else outgrow whoever copies it


def restored(folder: Path, number: int, directory: Path) -> Path:
    """A copy made now, through an archive."""
    archive = folder / f"{number}.tar"
    write_archive(archive, {}, copy_of(directory, "files/log").pieces)
    into = folder / str(number)
    into.mkdir()
    unpack(archive, into, check_archive(archive), "files/")
    return into / "log"


def test_a_copy_of_a_growing_log_is_its_beginning(tmp_path: Path) -> None:
    """Whatever is being written at that moment, and over the ends of segments."""
    key, clock = Ed25519Key.generate(), SystemClock()
    log = Log.create(tmp_path / "log", storage=OsStorage(), key=key, origin=ORIGIN, clock=clock, segment_size=16 * 1024)
    over = threading.Event()

    def grow() -> None:
        number = 0
        while log.size < MOST and not over.wait(0.0005):
            number += 1
            log.commit([Entry(number.to_bytes(16), clock.now(), bytes(300))] * (number % 7 + 1))

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        copies = [restored(tmp_path, number, tmp_path / "log") for number in range(8)]
    finally:
        over.set()
        thread.join(30)
    sizes = []
    for copy in copies:
        with Log.open(copy, storage=OsStorage(), key=key, origin=ORIGIN, clock=clock) as found:
            assert found.root_at(found.size) == log.root_at(found.size)
            sizes.append(found.size)
            if found.size:
                assert found.read(found.size - 1).data == bytes(300)
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    log.close()


class Meanwhile(OsStorage):
    """A disk on which something happens while it is read, after so many reads."""

    def __init__(self, happens: Callable[[], object], after: int) -> None:
        super().__init__()
        self._happens = happens
        self._after = after
        self.reads = 0

    def pread(self, file: int, size: int, offset: int) -> bytes:
        data = super().pread(file, size, offset)
        self.reads += 1
        if self.reads == self._after:
            self._happens()
        return data


def test_a_log_that_grows_while_it_is_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two reads a batch may come, also into the next segment; one look is enough."""
    monkeypatch.setattr("qaztech.evidence.view.LOOKS", 1)
    key, clock = Ed25519Key.generate(), SystemClock()
    with Log.create(
        tmp_path / "log", storage=OsStorage(), key=key, origin=ORIGIN, clock=clock, segment_size=16 * 1024
    ) as log:

        def grow() -> None:
            for _ in range(2):  # the head of a batch stands in the next one
                log.commit([Entry(log.size.to_bytes(16), clock.now(), bytes(300))] * 11)

        for back in range(1, 8):
            grow()
            quiet = Meanwhile(grow, -1)
            LogView.open_read_only(tmp_path / "log", storage=quiet).close()
            before = log.size
            with LogView.open_read_only(tmp_path / "log", storage=Meanwhile(grow, quiet.reads - back)) as view:
                assert before <= view.size <= log.size == before + 22
                assert view.root_at(view.size) == log.root_at(view.size)


def test_a_closed_log_stays_closed_in_its_copy(tmp_path: Path) -> None:
    """What says that it must not go on is copied with it."""
    key, clock = Ed25519Key.generate(), SystemClock()
    with Log.create(tmp_path / "log", storage=OsStorage(), key=key, origin=ORIGIN, clock=clock) as log:
        log.commit([Entry(bytes(16), clock.now(), b"x")])
    (tmp_path / "log" / "closed").write_bytes(b"in whatever form")
    names = [piece.name for piece in copy_of(tmp_path / "log", "files/log").pieces]
    assert names == ["files/log/log", "files/log/closed", "files/log/wal/000000000000"]
    with LogView.open_read_only(restored(tmp_path, 1, tmp_path / "log"), storage=OsStorage()) as view:
        assert view.size == 1

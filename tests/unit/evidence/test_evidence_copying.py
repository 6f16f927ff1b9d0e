"""A log copied while it grows: each copy opens, proves what it holds, and is the beginning of the log."""

from __future__ import annotations

import threading
from pathlib import Path

from qaztech.core.time import SystemClock
from qaztech.evidence.copying import copy_of
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.runtime.archive import check_archive, unpack, write_archive
from qaztech.trust.keys import Ed25519Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"


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
        while not over.is_set():
            number += 1
            log.commit([Entry(number.to_bytes(16), clock.now(), bytes(300))] * (number % 7 + 1))

    thread = threading.Thread(target=grow)
    thread.start()
    copies = [restored(tmp_path, number, tmp_path / "log") for number in range(8)]
    over.set()
    thread.join()
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

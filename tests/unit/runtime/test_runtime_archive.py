"""The file of a backup: what goes in comes out, and no file made by somebody else leads anywhere else."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Conflict, Malformed
from qaztech.runtime.archive import MANIFEST, TYPE, Piece, check_archive, read_piece, unpack, write_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small backup."""
    (tmp_path / "growing").write_bytes(b"0123456789 and more")
    pieces = [
        Piece(name="files/a/b", data=b"one"),
        Piece(name="files/growing", path=tmp_path / "growing", length=10),
        Piece(name="files/key", data=b"secret", private=True),
        Piece(name="settings.toml", data=b"x = 1"),
    ]
    write_archive(tmp_path / "made.tar", {"kind": "test"}, pieces)
    return tmp_path / "made.tar"


def test_what_goes_in_comes_out(archive: Path, tmp_path: Path) -> None:
    """Cut where it was asked to, under the names given, private where it was private."""
    manifest = check_archive(archive)
    assert manifest.facts == {"kind": "test"}
    folder = tmp_path / "out"
    folder.mkdir()
    written = unpack(archive, folder, manifest, "files/")
    assert {str(p.relative_to(folder)): p.read_bytes() for p in written} == {
        "a/b": b"one", "growing": b"0123456789", "key": b"secret",
    }  # fmt: skip
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert read_piece(archive, "settings.toml") == b"x = 1"
    with pytest.raises(Malformed, match="no other"):
        read_piece(archive, "other")


def test_it_replaces_nothing_and_leaves_no_half(archive: Path, tmp_path: Path) -> None:
    """Where the name is taken, and where a file gets shorter while it is read."""
    with pytest.raises(Conflict):
        write_archive(archive, {}, [])
    shrunk = [Piece(name="x", path=tmp_path / "growing", length=1000)]
    with pytest.raises(OSError, match="unexpected end"):
        write_archive(tmp_path / "second.tar", {}, shrunk)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["growing", "made.tar"]


def write_tar(path: Path, change: Callable[[tarfile.TarInfo], None], *, name: str = "files/x") -> None:
    """An archive whose manifest agrees with its one file, which is changed in its header."""
    data = b"data"
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    change(info)
    listed = [len(data), sha256(data).hexdigest(), 0o644]
    manifest = json.dumps({"type": TYPE, "facts": {}, "files": {name: listed}}).encode()
    last = tarfile.TarInfo(MANIFEST)
    last.size = len(manifest)
    with tarfile.open(path, "w") as tar:
        tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
        tar.addfile(last, io.BytesIO(manifest))


def as_link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0


def as_device(info: tarfile.TarInfo) -> None:
    info.type, info.size = tarfile.CHRTYPE, 0


def as_it_is(_: tarfile.TarInfo) -> None:
    pass


def test_the_form_itself_is_accepted(tmp_path: Path) -> None:
    """So that what is refused below is refused for its one change."""
    write_tar(tmp_path / "x.tar", as_it_is)
    assert check_archive(tmp_path / "x.tar").files.keys() == {"files/x"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "files/../../x", "files//x", "files/./x", "files/\x00", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is written."""
    write_tar(tmp_path / "x.tar", as_it_is, name=name)
    with pytest.raises(Malformed):
        check_archive(tmp_path / "x.tar")


@pytest.mark.parametrize("change", [as_link, as_device])
def test_only_plain_files_are_accepted(tmp_path: Path, change: Callable[[tarfile.TarInfo], None]) -> None:
    """No link, no device."""
    write_tar(tmp_path / "x.tar", change)
    with pytest.raises(Malformed):
        check_archive(tmp_path / "x.tar")


def test_a_file_that_changed_after_the_check_is_not_taken(archive: Path, tmp_path: Path) -> None:
    """What is unpacked is compared once more."""
    manifest = check_archive(archive)
    data = archive.read_bytes().replace(b"secret", b"Secret")
    archive.write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(Malformed, match="changed"):
        unpack(archive, tmp_path / "out", manifest, "files/")


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_file_is_never_taken_for_whole(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any byte of content changed, or any end missing: it is said, in our words."""
    folder = tmp_path_factory.mktemp("damaged")
    pieces = [Piece(name="files/a", data=b"a" * 700), Piece(name="files/b", data=b"b")]
    write_archive(folder / "x.tar", {}, pieces)
    whole = (folder / "x.tar").read_bytes()
    with tarfile.open(folder / "x.tar") as tar:
        member = tar.getmember("files/a")
    if data.draw(st.booleans()):
        at = member.offset_data + data.draw(st.integers(0, 699))
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    else:
        damaged = whole[: data.draw(st.integers(0, len(whole.rstrip(b"\0")) - 1))]
    (folder / "x.tar").write_bytes(damaged)
    with pytest.raises(Malformed):
        check_archive(folder / "x.tar")

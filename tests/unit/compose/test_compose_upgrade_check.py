"""Before an upgrade: an archive that is not the release's is refused, and databases that change are named."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from qaztech.cli.main import main
from qaztech.compose.upgrade_check import check_bundle, databases
from qaztech.core.errors import Conflict, NotFound, Untrusted
from qaztech.registry.store import REGISTRY
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.trust.keys import Ed25519Key

KEY, OTHER = Ed25519Key.from_seed(bytes(32)), Ed25519Key.from_seed(bytes([1]) * 32)


def bundler():
    """scripts/bundle.py as a module."""
    path = Path(__file__).parents[3] / "scripts/bundle.py"
    spec = importlib.util.spec_from_file_location("bundle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUNDLE = bundler()
VKEY = BUNDLE.release_vkey(KEY)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An unpacked archive, as small as can be."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "VERSION").write_text("0.4.0\n")
    (folder / "wheels" / "one.whl").write_bytes(b"wheel")
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    sums = "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}\n" for p in files)
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "SHA256SUMS.note").write_bytes(BUNDLE.sign(sums.encode(), KEY))
    return folder


def test_a_signed_archive_says_its_version(bundle: Path) -> None:
    """Every file is as it was signed."""
    assert check_bundle(bundle, VKEY) == "0.4.0"


@pytest.mark.parametrize(
    "change",
    [
        lambda b: (b / "wheels" / "one.whl").write_bytes(b"other"),
        lambda b: (b / "wheels" / "one.whl").unlink(),
        lambda b: (b / "wheels" / "more.whl").write_bytes(b"more"),
        lambda b: (b / "wheels" / "linked").symlink_to(b / "wheels"),
        lambda b: (b / "SHA256SUMS").write_text(""),
        lambda b: (b / "SHA256SUMS.note").write_bytes(b"no note"),
        lambda b: (b / "SHA256SUMS.note").write_bytes((b / "SHA256SUMS.note").read_bytes().replace(b"one", b"two")),
        lambda b: (b / "SHA256SUMS.note").write_bytes(BUNDLE.sign((b / "SHA256SUMS").read_bytes(), OTHER)),
    ],
)
def test_an_archive_that_is_not_as_it_was_signed_is_refused(bundle: Path, change: Callable[[Path], object]) -> None:
    """A file changed, gone or added, sums of its own, another text, another key."""
    change(bundle)
    with pytest.raises(Untrusted):
        check_bundle(bundle, VKEY)


def test_an_archive_that_nobody_signed_is_said_to_be_that(bundle: Path) -> None:
    """It is no attack by itself, and nothing to be trusted either."""
    (bundle / "SHA256SUMS.note").unlink()
    with pytest.raises(NotFound):
        check_bundle(bundle, VKEY)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A registry's settings, and its database as this release makes it."""
    open_database(sqlite_url(tmp_path / "registry.db"), REGISTRY).dispose()
    file = tmp_path / "registry.toml"
    file.write_text('instance = "KZ"\ndirectory = "."\nport = 1\n')
    return file


def note(settings: Path, version: str) -> None:
    """Let the database have come as far as that."""
    engine = open_database(sqlite_url(settings.parent / "registry.db"), REGISTRY)
    with engine.begin() as db:
        db.execute(text("UPDATE registry_version SET version_num = :version"), {"version": version})
    engine.dispose()


def test_a_database_that_stays_leaves_the_way_back_short(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The release before reads it too."""
    assert [(d.name, [s.tables for s in d.sets]) for d in databases(settings)] == [("registry.db", ["registry"])]
    assert main(["upgrade-check", "--settings", str(settings), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] is False


def test_a_database_that_changes_asks_for_a_backup(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is looked at, and not touched."""
    note(settings, "0001")
    before = (settings.parent / "registry.db").read_bytes()
    (standing,) = databases(settings)[0].sets
    assert standing.changes is (len(standing.known) > 1)
    assert main(["upgrade-check", "--settings", str(settings)]) == 0
    assert ("Back up first" in capsys.readouterr().out) is standing.changes
    assert (settings.parent / "registry.db").read_bytes() == before


def test_a_database_of_a_newer_release_is_refused(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the check and by opening it, both with what to do; nothing is changed."""
    note(settings, "9999")
    assert main(["upgrade-check", "--settings", str(settings)]) == 1
    assert "a newer release has changed registry.db (registry 9999)" in capsys.readouterr().err
    with pytest.raises(Conflict, match="restore the backup made before it"):
        open_database(sqlite_url(settings.parent / "registry.db"), REGISTRY)
    assert main(["upgrade-check"]) == 1

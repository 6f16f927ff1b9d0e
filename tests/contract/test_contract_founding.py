"""A registry founded on PostgreSQL by command: one to a database, and no table of it in a file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from postgres_server import PostgresServer
from qaztech.cli.main import main


def test_a_database_holds_one_registry(
    server: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second is refused, and so is a URL of something else; settings with a password are private."""
    url = server.database("founded")
    found = ["--instance", "KZ", "--url", "http://127.0.0.1:9", "--no-hybrid", "--database"]
    assert main(["registry", "init", str(tmp_path / "first"), *found, url]) == 0
    settings = tmp_path / "first" / "registry.toml"
    assert url in settings.read_text()
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert list((tmp_path / "first").glob("*.db")) == []
    capsys.readouterr()
    assert main(["registry", "init", str(tmp_path / "second"), *found, url]) == 1
    assert "registry.exists" in capsys.readouterr().err
    assert main(["registry", "init", str(tmp_path / "third"), *found, "mysql://x/y"]) == 1
    assert "database.url" in capsys.readouterr().err

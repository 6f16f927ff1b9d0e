"""`qaztech hub traffic`: files of hours are taken, shown and forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qaztech.cli.main import main

duckdb = pytest.importorskip("duckdb")
HOURS = """SELECT TIMESTAMP '2026-01-01' + INTERVAL (n) HOUR AS hour, 'KZ/GOV/1/a' AS client,
    'KZ/GOV/2/b/s' AS service, 2 AS calls, 0 AS failed, 10 AS bytes, 'x' AS note FROM range(5) t(n)"""


def test_a_file_is_taken_shown_and_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest that it is told by serves to take it back; a column that is not ours is named."""
    settings, file = tmp_path / "hub.toml", tmp_path / "hours.parquet"
    settings.write_text('directory = "."\nanchor = "a"\nregistry = "r"\n')
    with duckdb.connect() as db:
        db.execute(f"COPY ({HOURS}) TO '{file}' (FORMAT parquet)")
    where = ["--settings", str(settings), "--json"]
    assert main(["hub", "traffic", str(file), "--label", "of 'old' gateway", *where]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert (taken["rows"], taken["since"], taken["ignored"]) == (5, "2026-01-01", ["note"])
    assert taken["superseded"] == 0
    assert main(["hub", "traffic", "--list", *where]) == 0
    (kept,) = json.loads(capsys.readouterr().out)["files"]
    assert (kept["digest"], kept["label"]) == (taken["digest"], "of 'old' gateway")
    assert main(["hub", "traffic", "--remove", taken["digest"], *where]) == 0
    capsys.readouterr()
    assert main(["hub", "traffic", "--list", *where[:2]]) == 0
    assert capsys.readouterr().out == "none\n"


def test_what_is_no_file_of_hours_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is anything else than one of the three things asked for."""
    settings, file = tmp_path / "hub.toml", tmp_path / "hours.parquet"
    settings.write_text('directory = "."\nanchor = "a"\nregistry = "r"\n')
    file.write_bytes(b"PAR1")
    assert main(["hub", "traffic", str(file), "--settings", str(settings)]) == 1
    assert "traffic.parquet" in capsys.readouterr().err
    assert main(["hub", "traffic", "--settings", str(settings)]) == 1
    assert "command.malformed" in capsys.readouterr().err
    assert main(["hub", "traffic", "--list", "--home", str(tmp_path)]) == 1
    assert "command.missing" in capsys.readouterr().err

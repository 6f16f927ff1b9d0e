"""`qaztech hub import`, `export`, `undo` and `history`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qaztech.cli.main import main

pytest.importorskip("python_calamine")
pytest.importorskip("xlsxwriter")

FILE = (
    "Номер в реестре;Наименование ИС;Статус;Сопровождение 2025 факт, тыс. тенге\nis-1;Учёт;пилот;5\nis-2;Лес;летает;6\n"
)


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """A center's settings; nothing of it runs."""
    (tmp_path / "hub.toml").write_text('directory = "data"\nanchor = "anchor"\nregistry = "http://localhost:1"\n')
    (tmp_path / "реестр.csv").write_bytes(FILE.encode("cp1251"))
    return str(tmp_path / "hub.toml")


def run(capsys: pytest.CaptureFixture[str], settings: str, *words: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    status = main(["hub", *words, "--settings", settings])
    return status, capsys.readouterr().out


def facts(capsys: pytest.CaptureFixture[str], settings: str, *words: str) -> dict[str, Any]:
    """What was printed for programs."""
    told: dict[str, Any] = json.loads(run(capsys, settings, *words, "--json")[1])
    return told


def test_a_register_is_imported_exported_and_taken_back(
    tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused with an error, by row; the good row taken when asked; back again without a change."""
    file, rest = str(tmp_path / "реестр.csv"), tmp_path / "rest.xlsx"
    status, told = run(capsys, settings, "import", file)
    assert status == 1
    assert "реестр:3 [Статус]  cell.choice" in told
    dry = facts(capsys, settings, "import", file, "--dry-run")
    assert (dry["wrong"], dry["fields"]["added"], dry["batch"]) == (1, 8, None)
    status, told = run(capsys, settings, "import", file, "--take-good-rows", "--left-out", str(rest))
    assert (status, rest.exists()) == (0, True)
    assert "change 1: rows added 2, changed 0, left out 1" in told
    assert facts(capsys, settings, "export", str(tmp_path / "all.zip"), "--language", "kk")["rows"] == 2
    assert "nothing is new" in run(capsys, settings, "import", str(tmp_path / "all.zip"))[1]
    assert run(capsys, settings, "undo", "1", "--yes")[0] == 0
    history = facts(capsys, settings, "history")["batches"]
    assert [(batch["id"], batch["source"], batch["undone_by"]) for batch in history] == [
        (2, "undo:1", None), (1, "import:реестр.csv", 2),
    ]  # fmt: skip


def test_a_mapping_is_shown_edited_and_given(tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is not taken: the row is right then."""
    file = str(tmp_path / "реестр.csv")
    mapping = json.loads(run(capsys, settings, "import", file, "--show-mapping")[1])
    for column in mapping["tables"][0]["columns"]:
        if column["header"] == "Статус":
            column["field"] = ""
    (tmp_path / "m.json").write_text(json.dumps(mapping))
    done = facts(capsys, settings, "import", file, "--mapping", str(tmp_path / "m.json"))
    assert (done["wrong"], done["batch"]["added"]) == (0, 4)
    assert main(["hub", "import", file, "--decide", "x", "--settings", settings]) == 1

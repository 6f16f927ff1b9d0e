"""`qaztech hub detect` on the development split of the labelled set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qaztech.cli.main import main

DEV = Path(__file__).parents[1] / "data/labelled/dev"
TABLES = ["hub", "detect", "--register", str(DEV), "--today", "2026-11-23"]


def test_findings_are_a_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Detector, objects, evidence, confidence, money and observability, of the detectors that were asked for."""
    assert main([*TABLES, "--detector", "trial_too_long", "--detector", "stale_record", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert {each["detector"] for each in findings} == {"trial_too_long", "stale_record"}
    assert {"objects", "evidence", "confidence", "money", "observability"} <= set(findings[0])
    assert all(fact["source"] for each in findings for fact in each["evidence"])


def test_people_see_counts_and_money(capsys: pytest.CaptureFixture[str]) -> None:
    """How many systems and days were looked at, and what is at stake."""
    assert main([*TABLES, "--detector", "modification_over_limit"]) == 0
    shown = capsys.readouterr().out
    assert "digital objects, 0 days of traffic, as of 2026-11-23" in shown
    assert "modification_over_limit: 6," in shown
    assert "tenge at stake" in shown


def test_what_is_not_there_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A slug that is none, and files that are missing."""
    assert main([*TABLES, "--detector", "verdict"]) != 0
    assert "detector.unknown" in capsys.readouterr().err
    assert main(["hub", "detect", "--register", str(tmp_path / "none.xlsx")]) != 0
    assert "table.missing" in capsys.readouterr().err
    assert main([*TABLES, "--traffic", str(tmp_path / "none.parquet")]) != 0


def test_somebody_elses_tables_are_read_as_they_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Titles in Russian, a file with semicolons; a row that cannot be taken is told and left out."""
    file = tmp_path / "systems.csv"
    rows = ["Идентификатор;Наименование ИС;БИН владельца;Статус;Дата актуализации"]
    rows += [
        "ds-1;Учёт воды;990000000001;промышленная эксплуатация;01.02.2019",
        "ds-2;Учёт света;;промышленная эксплуатация;01.02.2019",
    ]
    file.write_text("\n".join(rows), encoding="windows-1251")
    asked = ["hub", "detect", "--register", str(file), "--today", "2026-11-23", "--detector", "stale_record", "--json"]
    assert main(asked) == 0
    shown = capsys.readouterr()
    assert [each["objects"] for each in json.loads(shown.out)] == [["ds-2"]]
    assert "1 rows were left out of 2" in shown.err

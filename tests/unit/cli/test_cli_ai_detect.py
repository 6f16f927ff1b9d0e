"""`qaztech ai detect`: personal data in a file of texts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from qaztech.cli.main import main

LINES = (
    b'{"id": "a", "text": "IIN 870514600122, call +7 701 000 12 34"}\n'
    b"{not json\n"
    b"\n"
    b'{"id": "c", "text": 5}\n'
    b'{"text": "nothing here"}'
)


def test_spans_of_each_line_are_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of JSON for each text, with places and kinds, and never the text itself."""
    file = tmp_path / "texts.jsonl"
    file.write_bytes(LINES)
    assert main(["ai", "detect", str(file), "--json"]) == 1
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [(line["line"], line.get("id")) for line in lines] == [(1, "a"), (5, None)]
    assert [(span["start"], span["end"], span["kind"]) for span in lines[0]["spans"]] == [
        (4, 16, "iin"),
        (23, 39, "phone"),
    ]
    assert "870514600122" not in said.out + said.err


def test_lines_that_cannot_be_read_are_named_without_their_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault says its line's number; the rest is read."""
    file = tmp_path / "texts.jsonl"
    file.write_bytes(LINES + b"\n\xff\xfe\n" + b"[" * 100_000)
    assert main(["ai", "detect", str(file)]) == 1
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["line 2", "line 4", "line 6", "line 7"]
    assert "not json" not in said.err
    assert [line.split()[:2] for line in said.out.splitlines()] == [["1:4-16", "iin"], ["1:23-39", "phone"]]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`-` stands for standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a@example.com"}\n')))
    assert main(["ai", "detect", "-"]) == 0
    assert capsys.readouterr().out.split() == ["1:0-13", "email", "a@example.com"]


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The code of the error is stable."""
    assert main(["ai", "detect", str(tmp_path / "none")]) == 1
    assert "ai.detect.file" in capsys.readouterr().err

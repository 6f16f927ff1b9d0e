"""`qaztech verify`: what a person sees, what a program reads, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.core.commitment import BODY, PATH
from qaztech.evidence.receipt import ListedLog, format_receipt
from receipt_country import BODIES, MESSAGE, ReceiptCountry
from registry_country import Country


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an anchor, a receipt, its body, and what is wrong with others."""
    registry = Country(tmp_path_factory.mktemp("country"))
    country = ReceiptCountry(registry)
    receipt = country.receipt(country.answered(), disclose=(("request", PATH), ("response", BODY)))
    hostile = ListedLog("\x1b[2Jw\u202e", None, ())
    folder = tmp_path_factory.mktemp("files")
    for name, data in {
        "anchor.json": registry.anchor_bytes,
        "r.json": format_receipt(receipt),
        "hostile.json": format_receipt(replace(receipt, logs=(hostile,), message="\x1b]0;x\x07")),
        "late.json": format_receipt(country.receipt(country.answer(country.request(time=9 * 10**18)))),
        "body": BODIES["response"],
        "other": b"another",
    }.items():
        (folder / name).write_bytes(data)
    yield folder
    registry.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, output and errors of `qaztech verify …`."""
    status = main(["verify", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_receipt_that_verifies(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each check, the exchange, the anchor's fingerprint, the state; exit 0."""
    status, out, _ = run(
        capsys, files / "r.json", "--anchor", files / "anchor.json", "--body", files / "body", "--require", "witnessed"
    )
    lines = out.splitlines()
    assert status == 0
    assert "KZ/GOV/991340000027/main → KZ/GOV/991340000017/main/registers" in lines[0]
    assert MESSAGE in lines[1]
    checks = [line for line in lines[3:] if line.startswith("ok ")]
    assert len(checks) > 25
    assert len({line.index(line.split()[1]) for line in checks}) == 1
    assert any(line.startswith("anchor  ") for line in lines)
    assert lines[-2] == "state   witnessed, by 2027-01-15 08:00:01 UTC"
    assert lines[-1] == "the receipt verifies"
    assert "\x1b" not in out


def test_what_was_asked_for_and_is_not_there(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A higher state, another body: exit 1, and why."""
    anchor = ("--anchor", files / "anchor.json")
    status, out, _ = run(capsys, files / "r.json", *anchor, "--require", "sealed")
    assert status == 1
    assert "sealed was asked for, and the receipt is witnessed" in out
    status, out, _ = run(capsys, files / "r.json", *anchor, "--body", files / "other")
    assert status == 1
    assert "1 check failed" in out
    assert any(line.startswith("bad ") and "commitment" in line for line in out.splitlines())
    assert run(capsys, files / "r.json", *anchor, "--request-body", files / "body")[0] == 1


def test_for_programs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as JSON."""
    status, out, _ = run(capsys, files / "r.json", "--anchor", files / "anchor.json", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["ok"]
    assert found["state"] == found["stated"] == "witnessed"
    assert found["exchange"]["outcome"] == "200"
    assert {"name": "form", "subject": "receipt", "verdict": "ok", "detail": ""} in found["checks"]


def test_nothing_of_a_receipt_reaches_the_terminal_as_control(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and the like are shown as what they are not."""
    for name in ("hostile.json", "late.json"):
        status, out, _ = run(capsys, files / name, "--anchor", files / "anchor.json")
        assert status == 1
        assert all(character.isprintable() or character == "\n" for character in out)


def test_no_receipt_is_not_verified(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other file is a receipt that does not verify."""
    status, out, _ = run(capsys, files / "body", "--anchor", files / "anchor.json")
    assert status == 1
    assert "bad           form" in out


def test_errors_say_what_is_missing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, an anchor that is none, no anchor at all: exit 1, on stderr."""
    for arguments, said in (
        ((files / "nix", "--anchor", files / "anchor.json"), "the receipt"),
        ((files / "r.json", "--anchor", files / "nix"), "the anchor"),
        ((files / "r.json", "--anchor", files / "anchor.json", "--body", files / "nix"), "nix"),
        ((files / "r.json", "--anchor", files / "body"), "no anchor that can be used"),
        ((files / "r.json", "--home", files / "nowhere"), "nowhere/anchor.json"),
    ):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (1, "")
        assert said in err
    assert run(capsys, files / "r.json", "--home", files)[0] == 0


def test_a_receipt_from_a_pipe(files: Path) -> None:
    """`qaztech receipt … | qaztech verify - --anchor …`."""
    program = Path(sys.executable).with_name("qaztech")
    with (files / "r.json").open("rb") as receipt:
        done = subprocess.run(
            [program, "verify", "-", "--anchor", files / "anchor.json"],
            stdin=receipt,
            capture_output=True,
            text=True,
            timeout=50,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the receipt verifies\n")


def test_colours_are_for_terminals(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal each verdict has its colour."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    _, out, _ = run(capsys, files / "r.json", "--anchor", files / "anchor.json")
    assert "\x1b[32mok" in out

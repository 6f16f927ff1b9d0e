"""The page of the command line is what the command line says of itself, and every command says it the same way."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.cli.main import main, parser

ROOT = Path(__file__).parents[3]


def commands(above: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command that does something."""
    below = [a for a in above._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield above
    for action in below:
        for verb in action.choices.values():
            yield from commands(verb)


ALL = {command.prog: command for command in commands(parser())}


def test_the_page_is_up_to_date() -> None:
    """If not: python scripts/cli_reference.py > docs/reference/cli.md."""
    made = subprocess.run(
        [sys.executable, ROOT / "scripts/cli_reference.py"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8") == made.stdout


@pytest.mark.parametrize("name", ALL)
def test_a_command_explains_itself(name: str) -> None:
    """It takes --home, every option has a help text, and options that mean the same are spelled the same."""
    command = ALL[name]
    options = {option: action for action in command._actions for option in action.option_strings}
    assert "--home" in options
    assert command.get_default("run") is not None
    assert [action.dest for action in command._actions if not action.help] == []
    if name.startswith("qaztech member"):
        assert options["--desk" if "--desk" in options else "--token-file"].required
    if name.startswith("qaztech registry") and "--registry" in options:
        assert "--token-file" in options
    with pytest.raises(SystemExit) as ended:
        main([*name.split()[1:], "--help"])
    assert ended.value.code == 0


def test_what_is_not_understood_ends_with_2() -> None:
    """No verb, no action, an unknown one."""
    for arguments in ([], ["member"], ["member", "fly"], ["registry", "status", "--fly"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2

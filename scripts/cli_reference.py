"""Print docs/reference/cli.md from the command line itself; a test compares the two.

python scripts/cli_reference.py > docs/reference/cli.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from qaztech.cli.main import parser

INTRODUCTION = """\
# The command line

```sh
qaztech member grant --desk DIR --service ID --client ID --lineage HEX --endpoint "GET /countries/**"
```

This page is made from the commands' own `--help` (`python scripts/cli_reference.py`).

- Every command takes `--home DIR`, where the embedded country lives: as given, else `QAZTECH_HOME`, else `~/.qaztech`.
- With `--json` a command prints one JSON object of the facts instead of lines for people. Progress, questions and
  errors go to standard error.
- It exits 0 when it has done what was asked; 1 when not, with one line that says what is wrong, what to do, and the
  [code](errors.md); 2 when it was not understood.
- What cannot be undone is asked first. Where nobody sits at a terminal it needs `--yes`, and does nothing without.
- A desk, a node's folder and a log are worked on by one command or process at a time.

How they go together: [give access](../howto/give-access.md), [run a node](../howto/run-a-node.md),
[renew a log](../howto/restore-a-log.md), [the registry is lost](../howto/registry-lost.md),
[try it](../tutorials/try-it.md).
"""


# Options that many commands have come last.
COMMON = ("registry", "token_file", "no_submit", "yes", "json")


def commands(above: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Every command with its one-line help, in the order of `--help`."""
    for action in above._actions:  # noqa: SLF001  # argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for verb, below in action.choices.items():
                found = list(commands(below, f"{name} {verb}"))
                yield from found or [(f"{name} {verb}", helps[verb], below)]


def options(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Each option as it is typed, and what it is for."""
    shown = [action for action in command._actions if action.dest not in {"help", "home"}]  # noqa: SLF001
    for action in sorted(shown, key=lambda a: COMMON.index(a.dest) if a.dest in COMMON else -1):
        value = action.metavar if action.metavar is not None else action.dest.upper()
        if action.choices is not None and action.metavar is None:
            value = "|".join(map(str, action.choices))
        typed = " ".join(value) if isinstance(value, tuple) else value
        if action.option_strings:
            typed = action.option_strings[0] + (f" {typed}" if action.nargs != 0 else "")
        said = sentence(action.help or "").replace("|", "\\|")
        needed = " **Required.**" if action.required and action.option_strings else ""
        yield typed.replace("|", "\\|"), f"{said}{needed}"


def sentence(text: str) -> str:
    """A help text as a sentence; names keep their spelling."""
    first = text.partition(" ")[0]
    return f"{text[0].upper()}{text[1:]}." if first.rstrip(",;:").isalpha() else f"{text}."


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for name, help_, command in commands(parser(), "qaztech"):
        parts.append(f"## `{name}`\n")
        parts.append(f"{command.description or sentence(help_)}\n")
        rows = [f"| `{typed}` | {said} |" for typed, said in options(command)]
        if rows:
            parts.append("\n".join(["| | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")

"""The tables of a file that somebody brought, read in a process of its own.

A file is a program's input made by others: where it is read with bounded memory and time, one that would bring the
reader down costs that one import and nothing else. Not here: reading it (`workbook`).
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from qaztech.core.errors import Error, Malformed, NotFound, Unavailable
from qaztech.hub.register.mapping import known
from qaztech.hub.register.sheets import not_a_table
from qaztech.hub.register.workbook import TEXTS, RawTable, read_tables
from qaztech.runtime.settings import child_environment

MOST_MEMORY: Final = 4 * 1024**3
MOST_SECONDS: Final = 120
# Bytes of all cells together: a text that stands once in a workbook may be in every cell of it.
MOST_ANSWER: Final = 256 * 1024**2
# Bytes of a CSV file that is read here: a process takes longer to begin than all it could cost.
SMALL: Final = 256 * 1024
_KINDS: Final[dict[str, type[Error]]] = {kind.__name__: kind for kind in (Malformed, NotFound, Unavailable)}


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    tables: list[RawTable] = []
    kind: str = ""
    code: str = ""
    detail: str = ""


def read_file(path: Path) -> list[RawTable]:
    """The tables of a file or folder.

    Raises `Malformed` for what cannot be read, is too large or takes too much, `NotFound` for no such file,
    `Unavailable` without what reads it.
    """
    if path.suffix.lower() in TEXTS and path.is_file() and path.stat().st_size <= SMALL:
        return read_tables(path, known)
    command = [sys.executable, "-m", "qaztech.hub.register.reading", str(path)]
    try:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=child_environment(), timeout=2 * MOST_SECONDS,
        )  # fmt: skip
        answer = msgspec.msgpack.decode(done.stdout, type=_Answer)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as exc:
        raise not_a_table("this file cannot be read within the limits of memory and time") from exc
    if answer.code:
        raise _KINDS.get(answer.kind, Malformed)(answer.code, answer.detail, at="caller")
    return answer.tables


def main(arguments: Sequence[str]) -> None:
    """Read one file and write what is in it; what takes more than its share ends this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, resource.RLIM_INFINITY))
    try:
        answer = _Answer(tables=read_tables(Path(arguments[0]), known))
    except Error as exc:
        answer = _Answer(kind=type(exc).__name__, code=exc.code, detail=exc.detail)
    except (MemoryError, RecursionError):
        answer = _Answer(code="table.too-large", detail="this file needs more memory than an import has")
    told = msgspec.msgpack.encode(answer)
    if len(told) > MOST_ANSWER:
        told = msgspec.msgpack.encode(_Answer(code="table.too-large", detail="more text than an import has"))
    sys.stdout.buffer.write(told)


if __name__ == "__main__":
    main(sys.argv[1:])

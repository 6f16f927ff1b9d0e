"""The tables of a file that somebody brought, read in a process of its own.

A file is a program's input made by others: where it is read with bounded memory and time, one that would bring the
reader down costs that one import and nothing else. Not here: reading it (`workbook`).
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
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
# Bytes of what a failing reader says last that are looked at.
_END: Final = 8192
_PLACE: Final = re.compile(r'^  File "([^"\n]{1,300})", line (\d+)', re.MULTILINE)
_KIND_OF_FAILURE: Final = re.compile(r"^([\w.]{0,60}(?:Error|Exception))(?::.*)?$", re.MULTILINE)
# Failures of a reader that a file can bring about: memory, and a library that gave up on it.
_OF_FILES: Final = frozenset({"MemoryError", "RecursionError", "pyo3_runtime.PanicException"})
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
        with TemporaryFile() as said:
            done = subprocess.run(
                command, check=False, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=said,
                env=child_environment(), timeout=2 * MOST_SECONDS,
            )  # fmt: skip
            said.seek(max(0, said.seek(0, os.SEEK_END) - _END))
            _check(done.returncode, said.read(_END).decode(errors="replace"))
        answer = msgspec.msgpack.decode(done.stdout, type=_Answer)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as exc:
        raise not_a_table("this file cannot be read within the limits of memory and time") from exc
    if answer.code:
        raise _KINDS.get(answer.kind, Malformed)(answer.code, answer.detail, at="caller")
    return answer.tables


def _check(status: int, said: str) -> None:
    """Raise `Unavailable` where the reader itself failed, `Malformed` where the file brought it down.

    Of what the reader said only places in our code and the kind of the exception are kept: the rest may be the file's.
    """
    if status == 0:
        return
    kind = _KIND_OF_FAILURE.findall(said)
    if status == 1 and kind and kind[-1] not in _OF_FILES:
        context = " ".join((kind[-1], *(f"{Path(path).name}:{line}" for path, line in _PLACE.findall(said)[-3:])))
        raise Unavailable(
            "table.reader", "the reader of files failed: it is not the file's fault", at="service", context=context
        )
    raise not_a_table("this file cannot be read within the limits of memory and time")


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

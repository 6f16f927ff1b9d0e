"""Judging the files of a delivery, here or in a process of its own.

Reading Parquet that others wrote is left to an engine that is not ours. In a process of its own, with bounded memory
and time, a file that brings it down costs that one delivery and nothing else. What is judged, and how, is `delivery`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from qaztech.core.errors import Error, Malformed
from qaztech.hub.delivery import Claim, Contradicted, HeldLog, Judgement
from qaztech.node.operational_parquet import read_part
from qaztech.runtime.settings import child_environment

Judge = Callable[[Claim, HeldLog, Sequence[Path]], HeldLog]
# Address space of the process that reads, and its seconds of processor time for one delivery.
MOST_MEMORY: Final = 4 * 1024**3
MOST_SECONDS: Final = 600
# Seconds by the clock: a reader that waits for something uses no processor, and nobody else is judged meanwhile.
MOST_WAIT: Final = 1200.0
# Characters of its answer; the largest is a held log with 63 peaks.
_MOST_ANSWER: Final = 64 * 1024


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged; both processes are of one release."""

    claim: Claim
    held: HeldLog
    files: list[str]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is held then, or why it is refused."""

    held: HeldLog | None = None
    contradicted: bool = False
    code: str = ""
    detail: str = ""


def judge_here(claim: Claim, held: HeldLog, files: Sequence[Path]) -> HeldLog:
    """Judge the files of a delivery in this process; gives what is held with them. Raises why they are refused."""
    judgement = Judgement(claim, held)
    for part, path in zip(claim.manifest.parts, files, strict=True):
        for batch in read_part(path, part.stop - part.start):
            judgement.feed(part.date, batch)
    return judgement.finish()


class JudgeApart:
    """Judges in one process of its own, which ends with this one and is begun anew when it has gone down.

    Threads wait for one another.
    """

    def __init__(
        self, *, memory: int = MOST_MEMORY, seconds: int = MOST_SECONDS, wait_seconds: float = MOST_WAIT
    ) -> None:
        self._limits = (memory, seconds)
        self._wait_seconds = wait_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._used = 0.0

    def __call__(self, claim: Claim, held: HeldLog, files: Sequence[Path]) -> HeldLog:
        """Judge as `judge_here` does; a file that the engine does not survive is `Malformed`."""
        with self._turn:
            try:
                return self._judged(claim, held, files)
            finally:
                self._used = monotonic()

    def rest(self, idle_seconds: float) -> None:
        """End the process if nothing was judged for so long: its memory is for others then."""
        if self._process is not None and self._turn.acquire(blocking=False):
            try:
                if monotonic() - self._used >= idle_seconds:
                    self.close()
            finally:
                self._turn.release()

    def _judged(self, claim: Claim, held: HeldLog, files: Sequence[Path]) -> HeldLog:
        order = _Order(claim=claim, held=held, files=list(map(str, files)))
        try:
            answer = msgspec.json.decode(self._ask(msgspec.json.encode(order) + b"\n"), type=_Answer)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            self.close()
            raise Malformed("operational.file", "the file cannot be read within its limits", at="caller") from exc
        if answer.held is not None:
            return answer.held
        raise (Contradicted if answer.contradicted else Malformed)(answer.code, answer.detail, at="caller")

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    @property
    def pid(self) -> int | None:
        """The process that judges; None while there is none."""
        return None if self._process is None else self._process.pid

    def _ask(self, line: bytes) -> bytes:
        if self._process is None:
            command = [sys.executable, "-m", "qaztech.hub.judging", *map(str, self._limits)]
            self._process = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=child_environment()
            )
        given, told = self._process.stdin, self._process.stdout
        assert given is not None and told is not None  # noqa: S101, PT018  # both are pipes
        over = threading.Timer(self._wait_seconds, self._process.kill)
        over.daemon = True
        over.start()
        try:
            while line:
                line = line[given.write(line) or 0 :]
            return told.readline(_MOST_ANSWER)
        finally:
            over.cancel()


def _judge(line: bytes) -> _Answer:
    try:
        order = msgspec.json.decode(line, type=_Order)
        return _Answer(held=judge_here(order.claim, order.held, list(map(Path, order.files))))
    except Error as exc:
        return _Answer(contradicted=isinstance(exc, Contradicted), code=exc.code, detail=exc.detail)
    except MemoryError:
        return _Answer(code="operational.file", detail="the file cannot be read within its limits")


def main(arguments: Sequence[str]) -> None:
    """Judge one order a line until there are no more; what takes more than its share ends this process."""
    memory, seconds = map(int, arguments)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, resource.RLIM_INFINITY))
        sys.stdout.buffer.write(msgspec.json.encode(_judge(line)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Judging the files of a delivery, here or in a process of its own.

Reading Parquet that others wrote is left to an engine that is not ours. In a process of its own, with bounded memory
and time, a file that brings it down costs that one delivery and nothing else. What is judged, and how, is `delivery`.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from qaztech.core.errors import Error, Malformed
from qaztech.hub.delivery import Claim, Contradicted, HeldLog, Judgement
from qaztech.node.operational_parquet import read_part

Judge = Callable[[Claim, HeldLog, Sequence[Path]], HeldLog]
# Address space of the process that reads, its seconds for one delivery; it is replaced after so many deliveries.
MOST_MEMORY: Final = 4 * 1024**3
MOST_SECONDS: Final = 600
MOST_DELIVERIES: Final = 256


def judge_here(claim: Claim, held: HeldLog, files: Sequence[Path]) -> HeldLog:
    """Judge the files of a delivery in this process; gives what is held with them. Raises why they are refused."""
    judgement = Judgement(claim, held)
    for part, path in zip(claim.manifest.parts, files, strict=True):
        for batch in read_part(path, part.stop - part.start):
            judgement.feed(part.date, batch)
    return judgement.finish()


class JudgeApart:
    """Judges in one process of its own, which is begun anew when it has gone down. Called by one thread at a time."""

    def __init__(self, *, memory: int = MOST_MEMORY, seconds: int = MOST_SECONDS) -> None:
        self._memory, self._seconds = memory, seconds
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, claim: Claim, held: HeldLog, files: Sequence[Path]) -> HeldLog:
        """Judge as `judge_here` does; a file that the engine does not survive is `Malformed`."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, get_context("spawn"), _confine, (self._memory,), max_tasks_per_child=MOST_DELIVERIES
            )
        try:
            answer = self._pool.submit(_judge, claim, held, tuple(files), self._seconds).result()
        except BrokenProcessPool as exc:
            self.close()
            raise Malformed("operational.file", "the file cannot be read within its limits", at="caller") from exc
        if isinstance(answer, HeldLog):
            return answer
        contradicted, code, detail = answer
        raise (Contradicted if contradicted else Malformed)(code, detail, at="caller")

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _judge(claim: Claim, held: HeldLog, files: Sequence[Path], seconds: int) -> HeldLog | tuple[bool, str, str]:
    """What `judge_here` says, as it can cross between processes; more than so much processor time ends this one."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, resource.RLIM_INFINITY))
    try:
        return judge_here(claim, held, files)
    except Error as exc:
        return isinstance(exc, Contradicted), exc.code, exc.detail
    except MemoryError:
        return False, "operational.file", "the file cannot be read within its limits"


def _confine(memory: int) -> None:
    """Bound what this process may take."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

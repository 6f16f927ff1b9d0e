"""Logs and counters of a process: one JSON object a line, without personal data or tokens; plain integer counters.

What is logged is chosen by the caller: codes, ids of messages, sizes, times. Paths, queries, headers, bodies and keys
never are.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from qaztech.core.errors import Error
from qaztech.runtime.release import release


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": int(record.created * 1000),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str = "INFO") -> None:
    """Send every log line of the process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("uvicorn.access").disabled = True
    for chatty in ("tuf", "urllib3", "asyncio", "uvicorn.error"):
        logging.getLogger(chatty).setLevel("WARNING")


def log_error(logger: logging.Logger, event: str, error: Error, **fields: object) -> None:
    """An error with its code and context (which never holds personal data)."""
    logger.warning(event, extra={"fields": {"code": error.code, "context": error.context, "at": error.at, **fields}})


class Metrics:
    """Counters and gauges of one process, rendered in the Prometheus text format."""

    def __init__(self) -> None:
        self._counters: Counter[str] = Counter()

    def count(self, name: str, by: float = 1) -> None:
        """Raise a counter."""
        self._counters[name] += by  # type: ignore[assignment]  # seconds are counted too

    def count_label(self, name: str, label: str, value: str) -> None:
        """Raise a counter that has one label; label values come from a closed set, never from input."""
        self._counters[f'{name}{{{label}="{value}"}}'] += 1

    def render(self, gauges: Mapping[str, float], counts: Mapping[str, float] | None = None) -> bytes:
        """The exposition text; `counts` are counted elsewhere. A name may carry labels, with values of a closed set."""
        lines = [*_samples({**self._counters, **(counts or {})}, "counter"), *_samples(gauges, "gauge")]
        return ("\n".join(lines) + "\n").encode()


def _samples(values: Mapping[str, float], kind: str) -> Iterator[str]:
    told = ""
    for name, value in sorted(values.items(), key=lambda item: item[0].partition("{")):
        if name.partition("{")[0] != told:
            told = name.partition("{")[0]
            yield f"# TYPE qaztech_{told} {kind}"
        yield f"qaztech_{name} {value}"


def process_gauges() -> dict[str, float]:
    """Memory (bytes), processor time (seconds) and open files of this process, and the release that it runs."""
    times = os.times()
    with Path("/proc/self/statm").open() as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        f'build_info{{version="{release()}"}}': 1,
        "process_resident_memory_bytes": resident,
        "process_cpu_seconds": round(times.user + times.system, 2),
        "process_open_files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
    }

"""Incidents: what must not happen and did. Kept in a file of JSON lines, shown to people, with signed heads if any."""

from __future__ import annotations

import json
import logging
import os
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qaztech.core.errors import Error
from qaztech.core.time import Clock
from qaztech.evidence.checkpoint import Checkpoint
from qaztech.node.heads import Fork
from qaztech.node.journal import Remembered
from qaztech.runtime.telemetry import log_error

SHOWN = 200
# The same code from the same peer is written once in so many milliseconds: a loud peer must not fill the disk.
QUIET = 10_000
logger = logging.getLogger("qaztech.incidents")


class Incidents:
    """The incidents of one node. A fork is kept with both signed heads; they prove it to anyone."""

    def __init__(self, *, path: Path, clock: Clock, tell: Callable[[dict[str, Any]], None]) -> None:
        self._path = path
        self._clock = clock
        self._tell = tell
        self._last: dict[tuple[str, str], int] = {}
        self.recent: deque[dict[str, Any]] = deque(maxlen=SHOWN)
        self.count = 0
        if path.exists():
            self._read(path.read_text(errors="replace"))

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            try:
                incident = json.loads(line)
            except ValueError:  # a power cut may have torn it
                continue
            if isinstance(incident, dict):
                self.recent.append(incident)
                self.count += 1
        if text and not text.endswith("\n"):
            self._keep("")

    def report(self, error: Error, *, peer: str) -> None:
        """Keep it and show it."""
        now = self._clock.now()
        if now - self._last.get((error.code, peer), -QUIET) < QUIET:
            return
        if len(self._last) > 10_000:
            self._last.clear()
        self._last[error.code, peer] = now
        incident: dict[str, Any] = {"time": now, "code": error.code, "detail": error.detail, "peer": peer}
        if isinstance(error, Fork):
            incident["heads"] = [_head(error.origin, head) for head in error.heads]
        log_error(logger, "incident", error, peer=peer)
        try:
            self._keep(json.dumps(incident, ensure_ascii=False))
        except OSError:  # shown all the same; a full disk is one of the things that are reported here
            logger.exception("an incident was not kept")
        self.recent.append(incident)
        self.count += 1
        self._tell(incident)

    def _keep(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())


def _head(origin: str, head: Remembered) -> dict[str, str]:
    return {
        "checkpoint": Checkpoint(origin, head.size, head.root).body().decode(),
        "signature": b64encode(head.signature).decode(),
    }

"""Callers that call without a pause while something is changed, and what must be true of their calls afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Told:
    """One call, and what its caller was told; `status` 0: nothing at all."""

    target: str
    status: int
    got: bytes
    message: str


class SteadyLoad:
    """POSTs, which nobody may send twice, each with a target of its own, from some connections at once."""

    def __init__(
        self, edge: str, system: str, service: str, *, name: str, callers: int = 3, pause: float = 0.01
    ) -> None:
        self.told: list[Told] = []
        self._edge, self._system, self._service, self._name, self._pause = edge, system, service, name, pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._calls, args=(i,)) for i in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _calls(self, caller: int) -> None:
        parts = urlsplit(self._edge)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        number = 0
        while not self._over.is_set():
            number += 1
            target = f"/{self._name}/{caller}/{number}"
            status, got, message = 0, b"", ""
            try:
                connection.request("POST", f"/r1/{self._service}{target}", b"x" * 200, {"X-Road-Client": self._system})
                answer = connection.getresponse()
                got, status = answer.read(), answer.status
                message = answer.headers.get("x-road-request-id", "")
            except (OSError, HTTPException):
                connection.close()
            self.told.append(Told(target, status, got, message))
            time.sleep(self._pause)
        connection.close()

    def going(self, more: int = 20, seconds: float = 10.0) -> None:
        """Wait until so many more calls were answered."""
        wanted = len(self.told) + more
        until(lambda: len(self.told) >= wanted, seconds)

    def check(self, arrived: Sequence[str]) -> None:
        """Every call was answered, and reached the system exactly once. `arrived` are targets the system saw."""
        wrong = [told for told in self.told if told.status != 200]
        assert wrong == [], f"{len(wrong)} of {len(self.told)} calls: {wrong[:3]}"
        mine = Counter(target for target in arrived if target.startswith(f"/{self._name}/"))
        assert mine == Counter(told.target for told in self.told)


def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something is so. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not become so in time")
        time.sleep(0.02)

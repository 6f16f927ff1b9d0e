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
            self.told.append(self._call(connection, f"/{self._name}/{caller}/{number}"))
            time.sleep(self._pause)
        connection.close()

    def _call(self, connection: HTTPConnection, target: str) -> Told:
        try:
            connection.request("POST", f"/r1/{self._service}{target}", b"x" * 200, {"X-Road-Client": self._system})
            answer = connection.getresponse()
            return Told(target, answer.status, answer.read(), answer.headers.get("x-road-request-id", ""))
        except (OSError, HTTPException):
            connection.close()
            return Told(target, 0, b"", "")

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


class PatientLoad(SteadyLoad):
    """Callers who wait while their own node is restarted: they have no other.

    A call is made again only where it cannot have begun: nobody listened, the node said that it is shutting down, or
    it closed the connection without an answer and the system has not seen the call. `arrived` are the targets that
    the system saw. One that the system has seen and nobody answered is lost, and is told as that.
    """

    def __init__(
        self, edge: str, system: str, service: str, *, name: str, arrived: Callable[[], Sequence[str]], seconds: float
    ) -> None:
        super().__init__(edge, system, service, name=name, callers=2, pause=0.03)
        self.waited = 0
        self._arrived, self._seconds = arrived, seconds

    def _call(self, connection: HTTPConnection, target: str) -> Told:
        deadline = time.monotonic() + self._seconds
        while True:
            told = super()._call(connection, target)
            began = told.status == 0 and target in self._arrived()
            refused = told.status == 503 and b"node.draining" in told.got
            if began or not (told.status == 0 or refused) or time.monotonic() > deadline:
                return told
            self.waited += 1
            time.sleep(0.1)


def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something is so. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not become so in time")
        time.sleep(0.02)

"""The newest landscape, made once for each state of the registry and of the traffic, with what was counted of it.

Use it from any thread. Not here: the registry (`register.store`), the traffic (`flows`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from qaztech.core.errors import Unavailable
from qaztech.hub.flows import Flows
from qaztech.hub.landscape.graph import Landscape, SinglePoint, landscape_of
from qaztech.hub.landscape.layout import Layout, lay_out
from qaztech.hub.observation import NOTHING_SEEN, Traffic
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import ObjectStore
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.hub")


class Known:
    """One landscape: what it was made of, and what was counted of it so far.

    `blind` is the code of what kept the traffic from being read, empty where it was.
    """

    def __init__(self, register: Register, traffic: Traffic, blind: str = "") -> None:
        self.register = register
        self.traffic = traffic
        self.blind = blind
        self.landscape: Landscape = landscape_of(register, traffic)
        self._lock = threading.RLock()
        self._layouts: dict[str, Layout] = {}
        self._points: list[SinglePoint] | None = None
        self._pictures: dict[tuple[str, str], bytes] = {}

    def layout(self, grouping: str) -> Layout:
        """The picture grouped so. Raises as `lay_out` does."""
        with self._lock:
            if grouping not in self._layouts:
                self._layouts[grouping] = lay_out(self.landscape, grouping)
            return self._layouts[grouping]

    def points(self) -> list[SinglePoint]:
        """Single points of failure. Raises as `Landscape.single_points` does."""
        with self._lock:
            if self._points is None:
                self._points = self.landscape.single_points()
            return self._points

    def picture(self, grouping: str, language: str, make: Callable[[], bytes]) -> bytes:
        """The bytes that a browser gets, made once for each grouping and language."""
        with self._lock:
            if (grouping, language) not in self._pictures:
                self._pictures[grouping, language] = make()
            return self._pictures[grouping, language]


class Landscapes:
    """Gives the newest landscape."""

    def __init__(self, objects: ObjectStore, flows: Flows) -> None:
        self._objects = objects
        self._flows = flows
        self._lock = threading.Lock()
        self._newest: Known | None = None

    def newest(self) -> Known:
        """The landscape as registry and traffic are now; without traffic where it cannot be read."""
        with self._lock:
            register, traffic, blind = self._objects.register(), NOTHING_SEEN, ""
            try:
                traffic = self._flows.traffic()
            except Unavailable as exc:
                log_error(logger, "the landscape is shown without traffic", exc)
                blind = exc.code
            newest = self._newest
            same = newest is not None and (newest.register.version, newest.traffic) == (register.version, traffic)
            if newest is None or not same or newest.blind != blind:
                newest = self._newest = Known(register, traffic, blind)
            return newest

"""What happens in a node, for whoever watches: the last exchanges, and a stream of events for the page.

Nothing here waits and nothing is lost for it: a watcher that does not keep up misses events, never the exchanges.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from qaztech.node.place import Finished
from qaztech.runtime.telemetry import Metrics

SHOWN = 500


class Events:
    """The recent past of a node and those who watch it."""

    def __init__(self, *, metrics: Metrics) -> None:
        self._metrics = metrics
        self._watchers: set[Callable[[bytes], None]] = set()
        self.recent: deque[Finished] = deque(maxlen=SHOWN)

    def finished(self, exchange: Finished) -> None:
        """An exchange ended on this side."""
        self.recent.append(exchange)
        self._metrics.count_label("exchanges_total", "side", exchange.side)
        if not exchange.state.startswith("answered"):
            self._metrics.count_label("exchanges_not_answered_total", "side", exchange.side)
        if self._watchers:
            shown = exchange._asdict()
            del shown["trace"]
            self.tell("exchange", shown)

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Tell every watcher (Server-Sent Events framing)."""
        if self._watchers:
            text = f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
            for watcher in list(self._watchers):
                watcher(text)

    def watch(self, watcher: Callable[[bytes], None]) -> Callable[[], None]:
        """Call `watcher` with each event; gives what ends it."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

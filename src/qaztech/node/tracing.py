"""Traces across both nodes (W3C Trace Context): which calls are traced, and the spans of their exchanges.

A call that arrives with a sampled `traceparent` is traced; of the others as many as the settings say. The consumer node
puts its own span in the header before the request is recorded; the header crosses like any other, so the provider node
and the system behind it go on from there. A span holds what a record holds in clear, and nothing more.
"""

from __future__ import annotations

import os
import random
import re
from collections import OrderedDict
from typing import Protocol

from qaztech.node.place import Finished
from qaztech.runtime.tracing import Span

TRACEPARENT = b"traceparent"
# Parents of spans whose exchanges are still in progress; the oldest is forgotten beyond that.
MAX_OPEN = 10_000
_FORM = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})\Z")
_LINE = re.compile(
    rb"^traceparent:[ \t]*(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})[ \t]*\r$", re.IGNORECASE | re.MULTILINE
)
Headers = list[tuple[bytes, bytes]]


class SpanSink(Protocol):
    """Where finished spans go."""

    def send(self, span: Span) -> None:
        """Take a span; never waits."""
        ...


class Tracing:
    """Which exchanges of this node are traced. `ratio` is the part of untraced calls that is traced from here on."""

    def __init__(self, *, sink: SpanSink, ratio: float) -> None:
        self._sink = sink
        self._ratio = ratio
        self._parents: OrderedDict[str, str] = OrderedDict()

    def enter(self, headers: Headers) -> Headers:
        """The headers of a call with this node's span in `traceparent`; unchanged where the call is not traced."""
        given = [value.strip() for name, value in headers if name.lower() == TRACEPARENT]
        context = _FORM.match(given[0]) if len(given) == 1 else None
        if context is not None:
            if not int(context[3], 16) & 1:
                return headers
            trace, parent = context[1].decode(), context[2].decode()
        elif given or random.random() >= self._ratio:  # noqa: S311  # a sample, not a secret
            return headers  # one that is malformed is left to who sent it
        else:
            trace, parent = os.urandom(16).hex(), ""
        span = os.urandom(8).hex()
        self._parents[span] = parent
        if len(self._parents) > MAX_OPEN:
            self._parents.popitem(last=False)
        kept = [header for header in headers if header[0].lower() != TRACEPARENT]
        return [*kept, (TRACEPARENT, f"00-{trace}-{span}-01".encode())]

    @staticmethod
    def context_of(lines: bytes) -> str:
        """The sampled `traceparent` among header lines that cross; empty where there is none."""
        match = _LINE.search(lines)
        if match is None:
            return ""
        context = _FORM.match(match[1])
        return match[1].decode() if context is not None and int(context[3], 16) & 1 else ""

    def finished(self, exchange: Finished) -> None:
        """The span of an exchange that ended, if it is traced."""
        if not exchange.trace:
            return
        _, trace, crossed, _ = exchange.trace.split("-")
        consumer = exchange.side == "consumer"
        if consumer and crossed not in self._parents:
            return  # not begun here, or forgotten
        start = exchange.time * 1_000_000
        self._sink.send(
            Span(
                trace=trace,
                id=crossed if consumer else os.urandom(8).hex(),
                parent=self._parents.pop(crossed) if consumer else crossed,
                name=f"{exchange.method} {exchange.service}",
                kind="client" if consumer else "server",
                start=start,
                end=start + exchange.milliseconds * 1_000_000,
                attributes={
                    "qaztech.side": exchange.side,
                    "qaztech.message": exchange.message,
                    "qaztech.client": exchange.client,
                    "qaztech.service": exchange.service,
                    "http.request.method": exchange.method,
                    "http.response.status_code": exchange.status,
                    "qaztech.state": exchange.state,
                },
                failed="" if exchange.state.startswith("answered") and exchange.status < 500 else exchange.state,
            )
        )

"""Traces: a sampled call is followed through both nodes, others are left as they are, and a span holds no path."""

from __future__ import annotations

import pytest

from qaztech.node.place import Finished
from qaztech.node.tracing import Tracing
from qaztech.runtime.tracing import Span

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01".encode()


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def send(self, span: Span) -> None:
        self.spans.append(span)


def exchange(side: str, trace: str, *, state: str = "answered", status: int = 200) -> Finished:
    return Finished(
        side=side, message="m", client="KZ/GOV/1/c", service="KZ/GOV/2/s/x", method="GET", peer="p", time=1_000,
        milliseconds=5, state=state, status=status, trace=trace,
    )  # fmt: skip


def lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b:%b\r\n" % header for header in headers)


def test_a_sampled_call_gets_the_nodes_span() -> None:
    """The caller's trace goes on; the header names this node's span, whose parent is the caller's."""
    sink = Sink()
    tracing = Tracing(sink=sink, ratio=0)
    headers = tracing.enter([(b"Accept", b"*/*"), (b"TraceParent", SAMPLED)])
    context = Tracing.context_of(lines(headers))
    _, trace, span, flags = context.split("-")
    assert (trace, flags) == (TRACE, "01")
    assert span != PARENT
    assert len([name for name, _ in headers if name.lower() == b"traceparent"]) == 1
    tracing.finished(exchange("consumer", context))
    other = Sink()
    Tracing(sink=other, ratio=0).finished(exchange("provider", context))
    (one,), (two,) = sink.spans, other.spans
    assert (one.trace, one.id, one.parent, one.kind) == (TRACE, span, PARENT, "client")
    assert (two.trace, two.parent, two.kind) == (TRACE, span, "server")
    assert (one.start, one.end) == (1_000_000_000, 1_005_000_000)
    tracing.finished(exchange("consumer", context))
    assert len(sink.spans) == 1


@pytest.mark.parametrize(
    "given",
    [[], [f"00-{TRACE}-{PARENT}-00".encode()], [b"nonsense"], [f"00-{'0' * 32}-{PARENT}-01".encode()],
     [f"00-{TRACE}-{'0' * 16}-01".encode()], [f"01-{TRACE}-{PARENT}-01".encode()], [SAMPLED, SAMPLED]],
)  # fmt: skip
def test_what_is_not_sampled_is_left_alone(given: list[bytes]) -> None:
    """No header is added or changed, nothing is sent."""
    sink = Sink()
    tracing = Tracing(sink=sink, ratio=0)
    headers = [(b"traceparent", value) for value in given]
    assert tracing.enter(headers) == headers
    context = Tracing.context_of(lines(headers))
    if len(given) < 2:
        assert context == ""
    tracing.finished(exchange("consumer", context))
    assert sink.spans == []


def test_a_part_of_other_calls_is_traced_from_here_on() -> None:
    """All of them at 1; then the span has no parent."""
    sink = Sink()
    tracing = Tracing(sink=sink, ratio=1)
    context = Tracing.context_of(lines(tracing.enter([])))
    tracing.finished(exchange("consumer", context, state="refused access-right.missing", status=500))
    (span,) = sink.spans
    assert span.parent == ""
    assert span.failed == "refused access-right.missing"


def test_a_span_holds_what_a_record_holds_in_clear() -> None:
    """No path, no query, no header beyond the trace."""
    sink = Sink()
    tracing = Tracing(sink=sink, ratio=1)
    tracing.finished(exchange("consumer", Tracing.context_of(lines(tracing.enter([])))))
    assert set(sink.spans[0].attributes) == {
        "qaztech.side", "qaztech.message", "qaztech.client", "qaztech.service", "qaztech.state",
        "http.request.method", "http.response.status_code",
    }  # fmt: skip

"""Spans to an OpenTelemetry collector (OTLP over HTTP), from ids and times that are already known.

Needs the extra `tracing`. Sending happens in a thread of the SDK's; what a collector does not take is dropped, never
waited for. What a span holds is the caller's choice; nothing personal belongs there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from qaztech.core.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One finished span. Ids are lower-case hex (W3C Trace Context); times in nanoseconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    kind: Literal["client", "server"]
    start: int
    end: int
    attributes: Mapping[str, str | int]
    failed: str = ""


class SpanExporter:
    """Sends finished spans to `endpoint`, the collector's URL for traces. Raises `Unavailable` without the extra."""

    def __init__(self, *, endpoint: str, service: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as exc:
            raise Unavailable(
                "tracing.missing", "traces need the packages of the extra `tracing`: pip install 'qaztech[tracing]'"
            ) from exc
        ids = _ids()
        self._ids: _Chosen = ids
        self._provider = TracerProvider(
            resource=Resource({"service.name": service}), id_generator=ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
        self._tracer = self._provider.get_tracer("qaztech")

    def send(self, span: Span) -> None:
        """Queue a span; it is sent soon, with others."""
        from opentelemetry import trace  # noqa: PLC0415

        self._ids.trace, self._ids.span = int(span.trace, 16), int(span.id, 16)
        context = None
        if span.parent:
            above = trace.SpanContext(
                trace_id=int(span.trace, 16),
                span_id=int(span.parent, 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(above))
        kind = trace.SpanKind.CLIENT if span.kind == "client" else trace.SpanKind.SERVER
        made = self._tracer.start_span(
            span.name, context=context, kind=kind, start_time=span.start, attributes=dict(span.attributes)
        )
        if span.failed:
            made.set_status(trace.Status(trace.StatusCode.ERROR, span.failed))
        made.end(end_time=span.end)

    def close(self) -> None:
        """Send what is queued."""
        self._provider.shutdown()


class _Chosen(Protocol):
    """The ids that the next span gets."""

    trace: int
    span: int


def _ids() -> Any:
    """Gives the SDK the ids that the nodes have chosen: one of them crossed in a header already."""
    from opentelemetry.sdk.trace.id_generator import IdGenerator  # noqa: PLC0415

    class Ids(IdGenerator):
        trace = span = 0

        def generate_trace_id(self) -> int:
            return self.trace

        def generate_span_id(self) -> int:
            return self.span

    return Ids()

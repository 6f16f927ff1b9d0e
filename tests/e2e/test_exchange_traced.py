"""One call, followed by OpenTelemetry from the caller through both nodes to the system behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from qaztech.testing.instance import Instance

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RUNNING = ("registry", "witness-archive", "node-ministry", "node-registers")


class Collector(ThreadingHTTPServer):
    """Takes spans as a collector does (OTLP over HTTP, protobuf), and is the system that is called."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[tuple[str, Any]] = []
        self.called: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.server.spans += [(names["service.name"], span) for span in scope.spans]
        self._answer(b"")

    def do_GET(self) -> None:
        self.server.called.append(self.headers["traceparent"])
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trace_goes_through_both_nodes(collector: Collector, tmp_path: Path) -> None:
    """The caller's span is the parent of the consumer node's, which is the provider node's; the system sees it."""
    country = Instance(tmp_path / "home", only=RUNNING)
    country.found()
    for name in ("ministry", "registers"):
        settings = country.home / "nodes" / name / "node.toml"
        settings.write_text(f'{settings.read_text()}\n[tracing]\nendpoint = "{collector.url}/v1/traces"\n')
    with country:
        service = country.add_service("registers", "traced", collector.url)
        assert country.call("/secret-path?and=query", service=service).status == 200
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = country.call("/secret-path?and=query", service=service, headers=headers)
        assert answer.status == 200
        country.until(lambda: len(collector.spans) == 2, 20)
    spans = {span.span_id.hex(): (name, span) for name, span in collector.spans}
    of = {name.split("/")[2]: span for name, span in spans.values()}
    consumer, provider = of[country.node("ministry")["member"].split("/")[2]], of[service.split("/")[2]]
    assert {span.trace_id.hex() for _, span in spans.values()} == {TRACE}
    assert consumer.parent_span_id.hex() == PARENT
    assert provider.parent_span_id == consumer.span_id
    assert collector.called == [None, f"00-{TRACE}-{consumer.span_id.hex()}-01"]
    attributes = {a.key: a.value.string_value for a in consumer.attributes}
    assert attributes["qaztech.message"] == answer.message
    assert "secret-path" not in str(collector.spans)

"""A collector for tests: a server that takes spans by OTLP over HTTP and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Received:
    """A span, and which service sent it."""

    service: str
    instance: str
    span: Span

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()


class Receiver(ThreadingHTTPServer):
    """`url` is what the services are told; `refused` counts requests that are not OTLP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.spans: list[Received] = []
        self.refused = 0

    def take(self, request: ExportTraceServiceRequest) -> None:
        for group in request.resource_spans:
            about = {fact.key: fact.value.string_value for fact in group.resource.attributes}
            self.spans.extend(
                Received(about["service.name"], about["service.instance.id"], span)
                for scope in group.scope_spans
                for span in scope.spans
            )


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/traces" or self.headers["content-type"] != PROTOBUF:
            self.server.refused += 1
            self.send_error(404)
            return
        self.server.take(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", PROTOBUF)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Be quiet."""


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """It listens on a free port of this machine until the end of the block."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

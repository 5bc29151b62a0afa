"""A worker's own HTTP port: /metrics for Prometheus, /livez and /readyz for whoever restarts or routes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from service import telemetry

JSON_TYPE = "application/json"


class HealthServer:
    """Serves on a thread of its own; a context manager. `ready()` is asked at every /readyz, `alive()` at every
    /livez.
    """

    def __init__(
        self, host: str, port: int, ready: Callable[[], bool], alive: Callable[[], bool] = lambda: True
    ) -> None:
        """Bind to `host`:`port` (0 takes a free one). Raises OSError where that is not possible."""
        self._server = _Server((host, port), _Handler)
        self._server.ready = ready
        self._server.alive = alive
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = map(str, self._server.server_address[:2])
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def __enter__(self) -> HealthServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    ready: Callable[[], bool]
    alive: Callable[[], bool]

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds for a silent client

    def do_GET(self) -> None:
        """Answer one of the three routes."""
        if self.path == "/metrics":
            page, content_type = telemetry.render_metrics()
            self._answer(HTTPStatus.OK, page, content_type)
        elif self.path == "/livez":
            self._answer_status(threading.main_thread().is_alive() and self.server.alive(), "alive")
        elif self.path == "/readyz":
            self._answer_status(self.server.ready(), "ready")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b'{"status": "unknown route"}', JSON_TYPE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the inherited signature
        """Probes are not worth a log line."""

    def _answer_status(self, good: bool, word: str) -> None:
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps({"status": word if good else f"not {word}"}).encode()
        self._answer(status, body, JSON_TYPE)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

"""The HTTP server around the application: its socket, its signals, and an orderly stop."""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.edge.app import create_app
from service.edge.problems import PROBLEM_TYPE, problem_body
from service.errors import ERROR_TABLE, MalformedHttp
from service.queue.client import QueueClient
from service.settings import Settings

BACKLOG = 2048
LINGER = 2.0  # seconds


class EdgeProtocol(H11Protocol):
    """HTTP/1.1 whose refusal of what is no HTTP, or of an oversized header, is a problem document as well."""

    refused = False

    def data_received(self, data: bytes) -> None:
        """What follows a refusal is thrown away: the connection's framing is lost."""
        if not self.refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer, then close once the client has, or after a moment: closing on unread bytes would reset the
        connection, and the client would lose the answer.
        """
        self.refused = True
        error = MalformedHttp(f"{msg} All header fields together may have at most 64 KiB.")
        headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"connection", b"close")]
        status = ERROR_TABLE[error.code].http_status
        for event in (
            h11.Response(status_code=status, headers=headers, reason=b"Bad Request"),
            h11.Data(data=problem_body(error)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


class EdgeServer(uvicorn.Server):
    """Tells its address once it listens. SIGTERM or SIGINT stops it: it takes no new connection, finishes
    what runs within the drain time, and returns; a second Ctrl-C ends it at once.
    """

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[str], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop
        self.stopped_by: signal.Signals | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen on `sockets`, then say where."""
        await super().startup(sockets)
        if self.started and sockets:
            self._on_ready(_url(sockets[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send away who only watches, so that a stop waits for work alone."""
        self._on_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep an obeyed signal from being raised again: the caller still has its own things to stop."""
        with super().capture_signals():
            yield
            if self._captured_signals:
                self.stopped_by = signal.Signals(self._captured_signals[0])
            self._captured_signals.clear()


def run_edge(
    settings: Settings, queue_url: str, *, on_ready: Callable[[str], None] = lambda _: None
) -> signal.Signals | None:
    """Serve until a signal comes, which is returned (None: told to stop otherwise).

    `on_ready` is called with the base URL, which names the port that was bound (settings.port may be 0).
    Raises OSError if the address can't be bound.
    """
    listener = bind(settings.host, settings.port)
    server = edge_server(settings, queue_url, on_ready=on_ready)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
    return server.stopped_by


def edge_server(settings: Settings, queue_url: str, *, on_ready: Callable[[str], None]) -> EdgeServer:
    """The server, not yet running: `server.run(sockets=[bind(...)])`; `should_exit = True` stops it."""
    app = create_app(settings, QueueClient(queue_url, settings))
    config = uvicorn.Config(
        app,
        http=EdgeProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout),
    )
    return EdgeServer(config, on_ready, on_stop=app.state.edge.stopping.set)


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio turns Nagle's algorithm off for its connections; not so for protocol 0.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

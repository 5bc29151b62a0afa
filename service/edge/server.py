"""The servers of an edge, HTTP and gRPC in one event loop: their start, their signals, and an orderly stop."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.edge.app import create_app
from service.edge.grpc_server import GrpcServer
from service.edge.listener import authority, bind
from service.edge.problems import PROBLEM_TYPE, problem_body
from service.edge.state import EdgeState
from service.errors import ERROR_TABLE, MalformedHttp
from service.queue.client import QueueClient
from service.settings import Settings
from service.start_stages import start_stage

BACKLOG = 2048
LINGER = 2.0  # seconds
FORCE_POLL = 0.1  # seconds
LAST_WORDS = 6.0  # seconds; longer than the cancel of a job may take


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


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where an edge listens: the base URL of HTTP, and gRPC's host:port. Both name the port that was bound."""

    http: str
    grpc: str


class EdgeServer(uvicorn.Server):
    """Tells its addresses once it listens. SIGTERM or SIGINT stops it: it takes no new connection, finishes
    what runs within the drain time, and returns; a second Ctrl-C ends it at once. It closes the queue's client
    at its end.
    """

    def __init__(
        self, config: uvicorn.Config, edge: EdgeState, on_ready: Callable[[Addresses], None]
    ) -> None:
        super().__init__(config)
        self._edge = edge
        self._grpc = GrpcServer(edge)
        self._on_ready = on_ready
        self.stopped_by: signal.Signals | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start gRPC, and HTTP on `sockets`, then say where. Raises OSError if gRPC's port can't be bound."""
        try:
            with start_stage("edge's servers"):
                await self._grpc.start()
                await super().startup(sockets)
        except BaseException:
            await self._grpc.stop(0)
            await self._edge.queue.aclose()
            raise
        if self.started and sockets:
            http = authority(*sockets[0].getsockname()[:2])
            self._on_ready(Addresses(f"http://{http}", self._grpc.address))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send away who only watches, so that a stop waits for work alone, and drain both servers."""
        self._edge.stopping.set()
        draining = asyncio.create_task(self._grpc.stop(self._edge.settings.drain_timeout))
        await super().shutdown(sockets)
        await self._let_cut_off_requests_end()
        while not (draining.done() or self.force_exit):
            await asyncio.wait((draining,), timeout=FORCE_POLL)
        await self._grpc.stop(0)
        await draining
        await self._edge.queue.aclose()

    async def _let_cut_off_requests_end(self) -> None:
        """Those that the drain time was too short for cancel their jobs, for which they need the queue, and answer."""
        if self.server_state.tasks and not self.force_exit:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep an obeyed signal from being raised again: the caller still has its own things to stop."""
        with super().capture_signals():
            yield
            if self._captured_signals:
                self.stopped_by = signal.Signals(self._captured_signals[0])
            self._captured_signals.clear()


def run_edge(
    settings: Settings, queue_url: str, *, on_ready: Callable[[Addresses], None] = lambda _: None
) -> signal.Signals | None:
    """Serve until a signal comes, which is returned (None: told to stop otherwise).

    `on_ready` is called with the addresses, which name the ports that were bound (those of settings may be 0).
    Raises OSError if one can't be bound.
    """
    listener = bind(settings.host, settings.port)
    server = edge_server(settings, queue_url, on_ready=on_ready)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
    return server.stopped_by


def edge_server(settings: Settings, queue_url: str, *, on_ready: Callable[[Addresses], None]) -> EdgeServer:
    """The server, not yet running: `server.run(sockets=[bind(...)])`; `should_exit = True` stops it."""
    app = create_app(settings, QueueClient(queue_url, settings))
    config = uvicorn.Config(
        app,
        http=EdgeProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        reset_contextvars=True,  # a connection would go on in the context of an earlier request on it
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout),
    )
    return EdgeServer(config, app.state.edge, on_ready)

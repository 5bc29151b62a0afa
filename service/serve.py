"""`moebius serve`: queue server, workers and edge on one machine, started in order and stopped in reverse.

Owns the order only: what each part does is its own affair. A worker takes longest to come up, so it is started as
soon as the queue answers, and the edge is imported meanwhile.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.errors import NotReady
from service.json_logs import configure_logging
from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from service.signals import StopSignals
from service.start_stages import start_stage

if TYPE_CHECKING:
    from service.edge.server import Addresses, EdgeServer

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
READY_POLL = 0.05
READY_PATIENCE = 10.0  # seconds that the edge may take to ask the queue


def serve(settings: Settings, *, on_ready: Callable[[Addresses], None]) -> signal.Signals | None:
    """Run everything until a signal comes, which is returned; `on_ready` gets the addresses once it can work.

    Raises `NotReady` if no worker can run, `QueueUnavailable` if the embedded server can't, and OSError
    for a taken port.
    """
    configure_logging(settings.log_level)
    settings = settings.model_copy(update={"model": settings.served_models[0]})
    with StopSignals() as signals, _metrics_folder(), ExitStack() as queue:
        embedded = None
        if settings.redis_url is None:
            with start_stage("queue server"):
                embedded = queue.enter_context(EmbeddedServer(settings.state_dir, settings.embedded_memory))
            settings = settings.model_copy(update={"redis_url": embedded.url})
        if signals.first is None:
            _serve_queue(settings, embedded, signals, on_ready)
        return signals.first


@contextmanager
def _metrics_folder() -> Iterator[None]:
    """A folder that edge and workers share their metrics through; it is looked for at the client's import."""
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client was imported before the metrics folder was there")
    with tempfile.TemporaryDirectory(prefix="moebius-metrics-") as folder:
        os.environ[METRICS_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[METRICS_VARIABLE]


def _serve_queue(
    settings: Settings,
    embedded: EmbeddedServer | None,
    signals: StopSignals,
    on_ready: Callable[[Addresses], None],
) -> None:
    """`settings.redis_url` names the queue, `embedded` or not."""
    from service.edge.listener import bind
    from service.tracing import exporting
    from service.worker_group import WorkerGroup

    stop = _Stop()
    workers = WorkerGroup(settings, stop.give_up)
    if embedded is not None:
        embedded.watch(
            lambda: stop.give_up("its queue server did. What it had acknowledged is on disk: start again.")
        )

    def announce(addresses: Addresses) -> None:
        workers.note_ready()
        on_ready(addresses)

    with bind(settings.host, settings.port) as listener, exporting(settings, "moebius-edge"):
        signals.call(stop.request)
        try:
            workers.start()
            _run_edge(settings, listener, stop, signals, announce)
        finally:
            workers.stop(lambda: signals.hurried)
    if stop.reasons:
        raise NotReady(f"The service has ended, since {stop.reasons[0]}")


def _run_edge(
    settings: Settings,
    listener: socket.socket,
    stop: _Stop,
    signals: StopSignals,
    on_ready: Callable[[Addresses], None],
) -> None:
    """Serve on `listener` until `stop` is requested; `on_ready` is called once a worker serves, too."""
    with start_stage("edge's modules"):
        from service.edge.server import edge_server

    announcer = _Announcer(on_ready)
    server = edge_server(settings, settings.redis_url or "", on_ready=announcer.start)
    stop.attach(server)
    try:
        if not stop.requested:
            server.run(sockets=[listener])
    finally:
        _note_signals(server, signals)
        announcer.stop()


def _note_signals(server: EdgeServer, signals: StopSignals) -> None:
    if server.stopped_by is not None:
        signals.note(server.stopped_by)
        if server.force_exit:
            signals.note(signal.SIGINT)


class _Stop:
    """Whether the service is to end, and why; it may be asked to before there is an edge, and from any thread."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.requested = False
        self._server: EdgeServer | None = None

    def request(self) -> None:
        """End in good order."""
        self.requested = True
        if self._server is not None:
            self._server.should_exit = True

    def give_up(self, reason: str) -> None:
        """End, as the service can't go on."""
        self.reasons.append(reason)
        self.request()

    def attach(self, server: EdgeServer) -> None:
        """Stop this server too."""
        self._server = server
        if self.requested:  # it may have been meanwhile
            server.should_exit = True


class _Announcer:
    """Asks the edge whether it is ready until it is, then says so once."""

    def __init__(self, on_ready: Callable[[Addresses], None]) -> None:
        self._on_ready = on_ready
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, addresses: Addresses) -> None:
        """Begin to ask; the edge listens at `addresses`."""
        self._thread = threading.Thread(target=self._ask, args=(addresses,), name="announcer")
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _ask(self, addresses: Addresses) -> None:
        while not self._stopped.wait(READY_POLL):
            if _is_ready(addresses.http):
                self._on_ready(addresses)
                return


def _is_ready(url: str) -> bool:
    """Whether the edge at `url` answers /readyz well; by the standard library, as a client's import takes longer."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=READY_PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

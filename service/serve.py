"""`moebius serve`: queue server, workers and edge on one machine, started in order and stopped in reverse.

Owns the order only: what each part does is its own affair.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx

from service.errors import NotReady
from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from service.signals import StopSignals

if TYPE_CHECKING:
    from service.edge.server import Addresses, EdgeServer

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
READY_POLL = 0.1


def serve(settings: Settings, *, on_ready: Callable[[Addresses], None]) -> signal.Signals | None:
    """Run everything until a signal comes, which is returned; `on_ready` gets the addresses once it can work.

    Raises `NotReady` if no worker can run, `QueueUnavailable` if the embedded server can't, and OSError
    for a taken port.
    """
    settings = settings.model_copy(update={"model": settings.served_models[0]})
    with StopSignals() as signals, _metrics_folder(), ExitStack() as queue:
        embedded = None
        if settings.redis_url is None:
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
    from service.edge.server import edge_server
    from service.json_logs import configure_logging
    from service.tracing import exporting
    from service.worker_group import WorkerGroup

    configure_logging(settings.log_level)
    reasons: list[str] = []

    def announce(addresses: Addresses) -> None:
        workers.note_ready()
        on_ready(addresses)

    announcer = _Announcer(announce)
    server = edge_server(settings, settings.redis_url or "", on_ready=announcer.start)

    def stop_server() -> None:
        server.should_exit = True

    def give_up(reason: str) -> None:
        reasons.append(reason)
        stop_server()

    workers = WorkerGroup(settings, give_up)
    if embedded is not None:
        embedded.watch(
            lambda: give_up("its queue server did. What it had acknowledged is on disk: start again.")
        )
    with bind(settings.host, settings.port) as listener, exporting(settings, "moebius-edge"):
        signals.call(stop_server)
        try:
            workers.start()
            server.run(sockets=[listener])
        finally:
            _note_signals(server, signals)
            announcer.stop()
            workers.stop(lambda: signals.hurried)
    if reasons:
        raise NotReady(f"The service has ended, since {reasons[0]}")


def _note_signals(server: EdgeServer, signals: StopSignals) -> None:
    if server.stopped_by is not None:
        signals.note(server.stopped_by)
        if server.force_exit:
            signals.note(signal.SIGINT)


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
        with httpx.Client(trust_env=False) as client:
            while not self._stopped.wait(READY_POLL):
                if self._is_ready(client, addresses.http):
                    self._on_ready(addresses)
                    return

    def _is_ready(self, client: httpx.Client, url: str) -> bool:
        try:
            return client.get(f"{url}/readyz").is_success
        except httpx.TransportError:
            return False

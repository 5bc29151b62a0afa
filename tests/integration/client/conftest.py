"""A real edge, HTTP and gRPC, before a real queue, and a worker that fills every hole with one colour."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from service.edge.listener import bind
from service.edge.server import Addresses, edge_server
from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker


@contextmanager
def serving(queue_url: str, settings: Settings) -> Iterator[Addresses]:
    """Where an edge listens that serves from a thread."""
    listening = threading.Event()
    found: list[Addresses] = []

    def on_ready(addresses: Addresses) -> None:
        found.append(addresses)
        listening.set()

    server = edge_server(settings.model_copy(update={"grpc_port": 0}), queue_url, on_ready=on_ready)
    listener = bind(settings.host, 0)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    assert listening.wait(20), "the edge did not start"
    try:
        yield found[0]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(drain_timeout=5)


@pytest.fixture(scope="module")
def empty_queue_url(queue_server: EmbeddedServer) -> str:
    with redis.Redis.from_url(queue_server.url) as connection:
        connection.flushall()
    return queue_server.url


@pytest.fixture(scope="module")
def worker(empty_queue_url: str, settings: Settings) -> Iterator[FlatWorker]:
    with FlatWorker(empty_queue_url, settings) as flat:
        yield flat


@pytest.fixture(scope="module")
def addresses(empty_queue_url: str, settings: Settings, worker: FlatWorker) -> Iterator[Addresses]:
    """Of an edge with one worker behind it."""
    with serving(empty_queue_url, settings) as found:
        yield found


@pytest.fixture(params=["http", "grpc"])
def server(request: pytest.FixtureRequest, addresses: Addresses) -> str:
    """The same service, once by HTTP and once by gRPC."""
    return addresses.http if request.param == "http" else f"grpc://{addresses.grpc}"

"""A real edge, HTTP and gRPC, before a real queue, and a worker that fills every hole with one colour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from service.edge.server import Addresses
from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, running_servers


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
    with running_servers(empty_queue_url, settings) as found:
        yield found


@pytest.fixture(params=["http", "grpc"])
def server(request: pytest.FixtureRequest, addresses: Addresses) -> str:
    """The same service, once by HTTP and once by gRPC."""
    return addresses.http if request.param == "http" else f"grpc://{addresses.grpc}"

"""A real HTTP edge on a free port before a real queue, and a worker that fills every hole with one colour."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import redis

from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, running_edge


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
def client(empty_queue_url: str, settings: Settings, worker: FlatWorker) -> Iterator[httpx.Client]:
    """A client of an edge with one worker behind it."""
    with running_edge(empty_queue_url, settings) as url, httpx.Client(base_url=url, timeout=60) as connected:
        yield connected

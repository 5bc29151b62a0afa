"""Fixtures for every test: a real queue server, shared by the session and emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.queue.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def queue_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One embedded server for the whole session."""
    with EmbeddedServer(tmp_path_factory.mktemp("queue")) as server:
        yield server


@pytest.fixture
def queue_url(queue_server: EmbeddedServer) -> str:
    """The address of an empty queue."""
    with redis.Redis.from_url(queue_server.url) as connection:
        connection.flushall()
    return queue_server.url


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small exported model with random weights, in a model store. Not to be changed."""
    from tests.small_model import NAME, export_small_model

    store = tmp_path_factory.mktemp("model_store")
    export_small_model(store)
    return store / NAME

"""Fixtures for every test: real queue servers, shared by the session and emptied for each test, or a test's own.

`queue_url` is on the embedded Valkey; tests/integration/queue runs on each of KINDS by `url_of_each_kind`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.queue.embedded import EmbeddedServer
from tests.queue_server import KINDS, QueueServer, running_server


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What engines keep between starts lies in a folder of the session, shared by its processes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOEBIUS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def queue_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One embedded server for the whole session."""
    with EmbeddedServer(tmp_path_factory.mktemp("queue")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[QueueServer]:
    """One Redis server for the whole session. Skips where none is installed."""
    with running_server("redis") as server:
        yield server


@pytest.fixture
def queue_url(queue_server: EmbeddedServer) -> str:
    """The address of an empty queue."""
    return emptied(queue_server.url)


@pytest.fixture(params=KINDS)
def url_of_each_kind(request: pytest.FixtureRequest) -> str:
    """The address of an empty queue, once on the embedded Valkey and once on Redis."""
    name = "queue_server" if request.param == "valkey" else "redis_server"
    server: EmbeddedServer | QueueServer = request.getfixturevalue(name)
    return emptied(server.url)


@pytest.fixture(params=KINDS)
def durable_server(request: pytest.FixtureRequest) -> Iterator[QueueServer]:
    """A server of the test's own, to be killed and started again.

    One kind only: `@pytest.mark.parametrize("durable_server", ["valkey"], indirect=True)`.
    """
    with running_server(request.param) as server:
        yield server


def emptied(url: str) -> str:
    """The address of a server that holds nothing any more."""
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
    return url


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small exported model with random weights, in a model store. Not to be changed."""
    from tests.small_model import NAME, export_small_model

    store = tmp_path_factory.mktemp("model_store")
    export_small_model(store)
    return store / NAME


@pytest.fixture(scope="session")
def few_step_model(small_model: Path) -> Path:
    """The folder of the same network as a few-step model, in the same store. Not to be changed."""
    from tests.small_model import FEW_STEP_NAME, copy_as_few_step

    copy_as_few_step(small_model, small_model.parent / FEW_STEP_NAME)
    return small_model.parent / FEW_STEP_NAME

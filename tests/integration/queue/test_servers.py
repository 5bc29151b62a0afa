"""The servers that the fault tests kill: what was acknowledged is there after SIGKILL, at the same address."""

from __future__ import annotations

import pytest
import redis

from tests.queue_server import QueueServer


@pytest.fixture(autouse=True)
def every_key_has_a_lifetime() -> None:
    """The servers here are the tests' own, with keys that are no queue's."""


def test_a_killed_server_comes_back_with_what_it_acknowledged(durable_server: QueueServer) -> None:
    address = durable_server.url
    with durable_server.connect() as connection:
        for number in range(100):
            connection.set(f"key-{number}", "kept")
        durable_server.kill()
        durable_server.start()
        assert durable_server.url == address
        assert connection.mget(f"key-{number}" for number in range(100)) == [b"kept"] * 100


def test_a_server_is_of_the_kind_that_the_test_names(durable_server: QueueServer) -> None:
    with durable_server.connect() as connection:
        assert connection.info("server").get("server_name", "redis") == durable_server.kind


@pytest.mark.parametrize("durable_server", ["redis"], indirect=True)
def test_a_test_may_ask_for_one_kind(durable_server: QueueServer) -> None:
    assert durable_server.kind == "redis"


def test_the_queues_tests_run_on_each_kind(queue_url: str, request: pytest.FixtureRequest) -> None:
    with redis.Redis.from_url(queue_url) as connection:
        kind = connection.info("server").get("server_name", "redis")
    assert f"[{kind}]" in request.node.name

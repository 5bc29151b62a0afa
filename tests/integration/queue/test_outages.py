"""The server away, back, or deaf: what edges and workers are told, and what waiters bear."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.contracts import Job, WorkerRegistration
from service.errors import QueueUnavailable
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.queue.conftest import ALICE, RESULT, claimed

NewJob = Callable[..., Job]
REGISTRATION = WorkerRegistration("worker-1", (), 1)


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/nobody.sock"


async def test_an_edge_without_server_says_so(nowhere: str, settings: Settings, new_job: NewJob) -> None:
    client = QueueClient(nowhere, settings)
    for call in (
        client.ping(),
        client.models(),
        client.submit(new_job()),
        client.status(new_job().id, ALICE),
    ):
        with pytest.raises(QueueUnavailable):
            await call
    await client.aclose()


def test_a_worker_without_server_says_so(nowhere: str, settings: Settings) -> None:
    consumer = QueueConsumer(nowhere, settings, REGISTRATION)
    with pytest.raises(QueueUnavailable):
        claimed(consumer, 1)
    consumer.close()


@pytest.mark.parametrize("url", ["http://localhost", "redis://localhost:port", "somewhere"])
def test_a_malformed_address_is_told_with_the_knob_that_sets_it(url: str, settings: Settings) -> None:
    with pytest.raises(QueueUnavailable, match="MOEBIUS_REDIS_URL"):
        QueueClient(url, settings)
    with pytest.raises(QueueUnavailable, match="MOEBIUS_REDIS_URL"):
        QueueConsumer(url, settings, REGISTRATION)


@pytest.mark.parametrize(
    "url", ["redis://:hid#den@queue", "redis://:hid/den@queue:6379", "redis://:[hid@queue"]
)
def test_a_malformed_address_is_not_repeated_as_a_part_of_it_may_be_a_password(
    url: str, settings: Settings
) -> None:
    with pytest.raises(QueueUnavailable) as caught:
        QueueClient(url, settings)
    assert "hid" not in "".join(traceback.format_exception(caught.value))
    assert "%23 for #" in caught.value.detail


async def test_a_lost_wake_costs_only_a_poll(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    (claim,) = claimed(consumer, 1)
    server.client_kill_filter(_type="pubsub")
    consumer.finish(claim, RESULT)
    assert await waiter == RESULT


async def test_a_waiter_bears_a_restart_of_the_server(
    tmp_path: Path, settings: Settings, new_job: NewJob
) -> None:
    first = EmbeddedServer(tmp_path)
    first.start()
    client, consumer = (
        QueueClient(first.url, settings),
        QueueConsumer(first.url, settings, REGISTRATION),
    )
    job = new_job()
    await client.submit(job)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    await client.ping()
    first.stop()
    with EmbeddedServer(tmp_path):
        (claim,) = claimed(consumer)
        assert claim.job.id == job.id
        consumer.finish(claim, RESULT)
        assert await waiter == RESULT
        consumer.close()
        await client.aclose()


async def test_a_cancelled_wait_ends(client: QueueClient, new_job: NewJob) -> None:
    job = new_job()
    await client.submit(job)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    await client.ping()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter


@pytest.fixture
def careless(server: redis.Redis) -> Iterator[None]:
    """The server is set up to lose jobs, until the test ends."""
    server.config_set("maxmemory-policy", "allkeys-lru")
    server.config_set("appendonly", "no")
    yield
    server.config_set("maxmemory-policy", "noeviction")
    server.config_set("appendonly", "yes")


def test_a_server_that_may_lose_jobs_is_told(consumer: QueueConsumer, careless: None) -> None:
    evicts, forgets = consumer.risks()
    assert "allkeys-lru" in evicts
    assert "append-only" in forgets


def test_a_server_set_up_as_the_queue_needs_it_has_no_risks(consumer: QueueConsumer) -> None:
    assert consumer.risks() == ()

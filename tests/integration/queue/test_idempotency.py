"""Idempotency keys: the same key and request is the same job, whoever sends it how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from service.contracts import Failure, Job
from service.errors import IdempotencyConflict, QueueFull
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from tests.integration.queue.conftest import ALICE, RESULT, claimed

NewJob = Callable[..., Job]


@pytest.fixture
def keyed(client: QueueClient, new_job: NewJob) -> Callable[..., Job]:
    """Makes jobs with ids of their own and one key."""

    def make(owner: str = ALICE, key: str = "order-17", fingerprint: str = "same") -> Job:
        job_id = client.new_job_id(owner, key)
        return replace(new_job(owner), id=job_id, idempotency_key=key, fingerprint=fingerprint)

    return make


async def test_a_second_request_with_a_key_is_the_first_ones_job(
    client: QueueClient, consumer: QueueConsumer, keyed: NewJob
) -> None:
    first, second = keyed(), keyed()
    assert first.id != second.id
    assert await client.submit(first) == first.id
    assert await client.submit(second) == first.id
    (claim,) = claimed(consumer, 8)
    consumer.finish(claim, RESULT)
    assert await client.submit(keyed()) == first.id
    assert await client.wait(first.id, ALICE) == RESULT


async def test_many_requests_at_once_with_a_key_are_one_job(
    client: QueueClient, consumer: QueueConsumer, keyed: NewJob
) -> None:
    ids = await asyncio.gather(*(client.submit(keyed()) for _ in range(20)))
    assert len(set(ids)) == 1
    assert len(claimed(consumer, 64)) == 1


async def test_a_key_used_for_another_request_is_refused_and_leaves_nothing(
    client: QueueClient, keyed: NewJob, server: redis.Redis
) -> None:
    await client.submit(keyed())
    before = set(server.scan_iter())
    with pytest.raises(IdempotencyConflict, match="order-17"):
        await client.submit(keyed(fingerprint="another"))
    assert set(server.scan_iter()) == before


async def test_a_cancelled_job_is_done_anew_when_its_key_comes_again(
    client: QueueClient, keyed: NewJob
) -> None:
    first = await client.submit(keyed())
    await client.cancel(first, ALICE)
    second = await client.submit(keyed())
    assert second != first
    assert await client.submit(keyed()) == second


async def test_a_failed_job_answers_its_key_with_the_same_failure(
    client: QueueClient, consumer: QueueConsumer, keyed: NewJob
) -> None:
    first = await client.submit(keyed())
    consumer.fail(claimed(consumer)[0], Failure("empty_mask", "The mask selects nothing."))
    assert await client.submit(keyed()) == first


async def test_clients_do_not_share_their_keys(client: QueueClient, keyed: NewJob) -> None:
    assert await client.submit(keyed()) != await client.submit(keyed("bob", fingerprint="another"))


async def test_names_and_keys_with_colons_are_not_mixed_up(client: QueueClient, keyed: NewJob) -> None:
    ids = [
        await client.submit(keyed(owner, key))
        for owner, key in (("2001:db8::1", "2:k"), ("2001:db8::1:2", "k"))
    ]
    assert len(set(ids)) == 2


async def test_a_refused_request_does_not_use_up_its_key(
    client: QueueClient, queue_url: str, settings: Settings, keyed: NewJob
) -> None:
    tight = QueueClient(queue_url, settings.model_copy(update={"max_queued_bytes": 1}))
    with pytest.raises(QueueFull):
        await tight.submit(keyed())
    await tight.aclose()
    job = keyed(fingerprint="corrected")
    assert await client.submit(job) == job.id


async def test_a_key_is_kept_as_long_as_its_job(
    client: QueueClient, keyed: NewJob, server: redis.Redis
) -> None:
    job = keyed()
    await client.submit(job)
    key = Shard().key("key", f"{len(ALICE)}:{ALICE}:order-17")
    assert server.pexpiretime(key) == server.pexpiretime(Shard().key("job", job.id)) > 0

"""The last attempt at a job is made with no neighbour: one that kills its workers takes nobody along."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from service.contracts import Job, Status
from service.queue.client import QueueClient
from service.queue.consumer import MOST_ATTEMPTS, Claim, QueueConsumer
from service.queue.keys import Shard
from tests.integration.queue.conftest import ALICE, MODEL, RESULT, claimed

NewJob = Callable[..., Job]
NewConsumer = Callable[..., QueueConsumer]


def busy_claim(consumer: QueueConsumer, places: int = 8) -> tuple[list[str], bool]:
    """What a worker is given that runs something: the ids of jobs, and whether to run empty."""
    answer = consumer.claim([MODEL], places=places, idle=False)
    return [claim.job.id for claim in answer.claims], answer.drain


@pytest.fixture
async def last_chance(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> Job:
    """A job whose workers were lost in all attempts but one."""
    job = new_job()
    await client.submit(job)
    for _ in range(MOST_ATTEMPTS - 1):
        (claim,) = claimed(consumer)
        assert not claim.alone
        server.zadd(Shard().key("leases"), {job.id: 1})
        consumer.reclaim()
    return job


async def test_an_idle_worker_gets_it_and_nothing_else(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, last_chance: Job
) -> None:
    other = new_job()
    await client.submit(other)
    (claim,) = claimed(consumer, 8)
    assert (claim.job.id, claim.attempt, claim.alone) == (last_chance.id, MOST_ATTEMPTS, True)
    assert consumer.finish(claim, RESULT)
    assert [claim.job.id for claim in claimed(consumer, 8)] == [other.id]


async def test_a_busy_worker_is_told_to_run_empty_and_takes_nothing_more(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, last_chance: Job
) -> None:
    await client.submit(new_job())
    assert busy_claim(consumer) == ([], True)
    assert (await client.status(last_chance.id, ALICE)).attempt == MOST_ATTEMPTS - 1
    assert [claim.job.id for claim in claimed(consumer, 8)] == [last_chance.id]


async def test_jobs_of_the_same_claim_come_first_where_their_tags_do(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    first, last_chance = new_job(), new_job()
    await client.submit(first)
    await client.submit(last_chance)
    for claim in claimed(consumer, 2):
        consumer.release(claim, counted=claim.job.id == last_chance.id)
    for claim in claimed(consumer, 2):
        consumer.release(claim, counted=claim.job.id == last_chance.id)
    answer = consumer.claim([MODEL], places=8, idle=True)
    assert ([claim.job.id for claim in answer.claims], answer.drain) == ([first.id], True)


async def test_other_workers_pass_it_by_while_one_runs_empty_for_it(
    client: QueueClient, new_consumer: NewConsumer, new_job: NewJob, last_chance: Job
) -> None:
    draining, busy = new_consumer("draining"), new_consumer("busy")
    other = new_job()
    await client.submit(other)
    assert busy_claim(draining) == ([], True)
    assert busy_claim(busy) == ([other.id], False)


async def test_an_idle_worker_may_take_what_another_one_runs_empty_for(
    client: QueueClient, new_consumer: NewConsumer, last_chance: Job
) -> None:
    assert busy_claim(new_consumer("draining")) == ([], True)
    assert [claim.job.id for claim in claimed(new_consumer("idle"))] == [last_chance.id]


async def test_a_promise_that_was_not_kept_in_time_passes_to_another(
    client: QueueClient, new_consumer: NewConsumer, last_chance: Job
) -> None:
    slow, busy = new_consumer("slow"), new_consumer("busy")
    assert slow.claim([MODEL], places=8, idle=False, drain_time=0).drain
    assert busy_claim(busy) == ([], True)


async def test_a_counted_release_of_the_last_attempt_ends_the_job(
    client: QueueClient, consumer: QueueConsumer, last_chance: Job
) -> None:
    (claim,) = claimed(consumer)
    assert consumer.release(claim, counted=True)
    assert (await client.status(last_chance.id, ALICE)).status is Status.DEAD_LETTERED


async def test_an_uncounted_release_of_the_last_attempt_keeps_it_alone(
    client: QueueClient, consumer: QueueConsumer, last_chance: Job
) -> None:
    (claim,) = claimed(consumer)
    assert consumer.release(claim)
    (again,) = claimed(consumer)
    assert (again.attempt, again.alone) == (MOST_ATTEMPTS, True)


def test_a_claim_is_alone_only_in_its_last_attempt(consumer: QueueConsumer, last_chance: Job) -> None:
    claims: list[Claim] = claimed(consumer, 8)
    assert [claim.alone for claim in claims] == [True]

"""At least once, visible once: leases, attempts, fencing and repeated transitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from unittest.mock import Mock

import pytest
import redis

from service import telemetry
from service.contracts import Failure, Job, Status
from service.errors import InternalError, JobDeadLettered, QueueUnavailable
from service.queue.client import QueueClient
from service.queue.consumer import MOST_ATTEMPTS, Claim, QueueConsumer
from service.queue.keys import Shard
from tests.integration.queue.conftest import ALICE, RESULT, claimed

NewJob = Callable[..., Job]
NewConsumer = Callable[..., QueueConsumer]


def lose_lease(server: redis.Redis, claim: Claim) -> None:
    """As if the worker had been silent for longer than its lease."""
    server.zadd(Shard().key("leases"), {claim.job.id: 1})


async def test_a_silent_workers_job_goes_to_another(
    client: QueueClient, new_consumer: NewConsumer, new_job: NewJob
) -> None:
    silent, other = new_consumer("silent", lease=0.05), new_consumer("other")
    job = new_job()
    await client.submit(job)
    (first,) = claimed(silent, 1)
    (second,) = reclaimed_and_claimed(other)
    assert (second.job.id, second.attempt) == (job.id, 2)
    assert second.token > first.token
    assert silent.renew([first]) == []


def reclaimed_and_claimed(consumer: QueueConsumer) -> list[Claim]:
    """Poll until an expired lease comes back."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        consumer.reclaim()
        if claims := claimed(consumer, 1):
            return claims
    raise AssertionError("the lease never ended")


async def test_a_renewed_lease_is_kept(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    await client.submit(new_job())
    claims = claimed(consumer, 1)
    lose_lease(server, claims[0])
    assert consumer.renew(claims) == claims
    assert consumer.reclaim() == 0


async def test_only_the_current_worker_may_finish(
    client: QueueClient, new_consumer: NewConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    silent, other = new_consumer("silent"), new_consumer("other")
    job = new_job()
    await client.submit(job)
    (stale,) = claimed(silent, 1)
    lose_lease(server, stale)
    (current,) = reclaimed_and_claimed(other)
    assert not silent.finish(stale, replace(RESULT, pictures=(b"stale",)))
    assert not silent.fail(stale, Failure("internal", "stale"))
    assert not silent.release(stale)
    assert other.finish(current, RESULT)
    assert await client.result(job.id, ALICE) == RESULT


async def test_a_result_is_written_once(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    assert consumer.finish(claim, RESULT)
    assert consumer.finish(claim, replace(RESULT, pictures=(b"another",))), "a repeated finish is harmless"
    assert not consumer.fail(claim, Failure("internal", "too late"))
    assert await client.result(job.id, ALICE) == RESULT


async def test_a_repeated_failure_is_harmless(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    assert consumer.fail(claim, Failure("empty_mask", "first"))
    assert consumer.fail(claim, Failure("internal", "second"))
    assert not consumer.finish(claim, RESULT)
    assert (await client.status(job.id, ALICE)).failure == Failure("empty_mask", "first")


async def test_a_repeated_submit_queues_one_job(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    await client.submit(job)
    assert len(claimed(consumer, 8)) == 1


async def test_a_repeated_submit_does_not_run_an_ended_job_again(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    consumer.finish(claim, RESULT)
    await client.submit(job)
    assert claimed(consumer, 1) == []
    assert await client.wait(job.id, ALICE) == RESULT


async def test_a_job_that_loses_every_worker_is_dead_lettered(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        (claim,) = claimed(consumer, 1)
        assert claim.attempt == attempt
        lose_lease(server, claim)
        assert consumer.reclaim() == 1
    assert claimed(consumer, 1) == []
    assert not consumer.finish(claim, RESULT)
    assert (await client.status(job.id, ALICE)).status is Status.DEAD_LETTERED
    with pytest.raises(JobDeadLettered, match=f"{MOST_ATTEMPTS} attempts"):
        await client.wait(job.id, ALICE)


async def test_an_orderly_release_costs_no_attempt(
    client: QueueClient, new_consumer: NewConsumer, new_job: NewJob
) -> None:
    leaving, staying = new_consumer("leaving"), new_consumer("staying")
    job = new_job()
    await client.submit(job)
    for _ in range(MOST_ATTEMPTS + 1):
        (claim,) = claimed(leaving, 1)
        assert leaving.release(claim)
    assert leaving.release(claim), "a repeated release is harmless"
    (claim,) = claimed(staying, 1)
    assert (claim.job.id, claim.attempt) == (job.id, 1)


async def test_a_released_job_keeps_its_place(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    first, second = new_job(), new_job()
    for job in (first, second):
        await client.submit(job)
    (claim,) = claimed(consumer, 1)
    consumer.release(claim)
    assert [claim.job.id for claim in claimed(consumer, 2)] == [first.id, second.id]


async def test_more_lost_leases_than_one_call_takes_come_back(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    for _ in range(250):
        await client.submit(new_job())
    claims = claimed(consumer, 1000)
    server.zadd(Shard().key("leases"), {claim.job.id: 1 for claim in claims})
    assert consumer.reclaim() == len(claims) == 250
    assert len(claimed(consumer, 1000)) == 250


async def test_a_job_of_another_version_fails_and_harms_no_other(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    odd, plain = new_job(), new_job()
    for job in (odd, plain):
        await client.submit(job)
    server.hset(Shard().key("job", odd.id), "params", b'{"steps": 20, "unheard_of": 1}')
    failed = counted("jobs", outcome="failed")
    assert [claim.job.id for claim in claimed(consumer, 2)] == [plain.id]
    failure = (await client.status(odd.id, ALICE)).failure
    assert failure is not None
    assert "same version" in failure.detail
    assert counted("jobs", outcome="failed") == failed + 1


async def test_a_result_of_another_version_is_an_error_that_says_so(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    consumer.finish(claim, RESULT)
    server.hset(Shard().key("result", job.id), "meta", b"{}")
    with pytest.raises(InternalError, match="same version"):
        await client.wait(job.id, ALICE)


async def test_keeping_up_reclaims(
    client: QueueClient, new_consumer: NewConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    lost, upkeeping = new_consumer("lost"), new_consumer("upkeeping")
    await client.submit(new_job())
    (claim,) = claimed(lost)
    lose_lease(server, claim)
    upkeeping.keep_up()
    assert [again.job.id for again in claimed(upkeeping)] == [claim.job.id]


async def test_a_claim_whose_answer_was_lost_brings_the_same_jobs_again(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [new_job() for _ in range(3)]
    for job in jobs:
        await client.submit(job)
    monkeypatch.setattr("service.queue.consumer.queue_errors", answer_lost_once())
    with pytest.raises(QueueUnavailable):
        claimed(consumer, 2)
    claims = claimed(consumer, 2)
    assert [claim.job.id for claim in claims] == [job.id for job in jobs[:2]]
    assert [claim.attempt for claim in claims] == [1, 1]
    assert [claim.job.id for claim in claimed(consumer, 2)] == [jobs[2].id]


def answer_lost_once() -> Callable[[str], AbstractContextManager[None]]:
    """`queue_errors`, whose first claim reaches the server and gets no answer back."""
    lost: list[str] = []

    @contextmanager
    def losing(op: str) -> Iterator[None]:
        yield
        if op == "claim" and not lost:
            lost.append(op)
            raise QueueUnavailable("the answer was lost")

    return losing


async def test_jobs_whose_pictures_could_not_be_read_come_with_the_next_claim(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job()
    await client.submit(job)
    silence = redis.ConnectionError("gone")
    with monkeypatch.context() as patched:
        patched.setattr(redis.client.Pipeline, "execute", Mock(side_effect=silence))
        with pytest.raises(QueueUnavailable):
            claimed(consumer)
    (claim,) = claimed(consumer)
    assert (claim.job.id, claim.attempt, claim.job.image) == (job.id, 1, job.image)


async def test_what_nothing_is_known_of_is_passed_by(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    unknown, known = new_job(), new_job()
    for job in (unknown, known):
        await client.submit(job)
    server.delete(Shard().key("job", unknown.id))
    server.hdel(Shard().key("backlog"), unknown.id)
    assert [claim.job.id for claim in claimed(consumer, 2)] == [known.id]


@pytest.mark.parametrize(
    "learn",
    [
        lambda consumer, claim: consumer.renew([claim]),
        lambda consumer, claim: consumer.report([(claim, None)]),
    ],
    ids=["renewal", "report"],
)
async def test_what_goes_wrong_is_counted(
    client: QueueClient,
    new_consumer: NewConsumer,
    new_job: NewJob,
    server: redis.Redis,
    learn: Callable[[QueueConsumer, Claim], object],
) -> None:
    names = ("redeliveries", "lease_lost", "superseded_results")
    before = {name: counted(name) for name in names}
    silent, other = new_consumer("silent"), new_consumer("other")
    await client.submit(new_job())
    (stale,) = claimed(silent)
    lose_lease(server, stale)
    other.reclaim()
    learn(silent, stale)
    silent.finish(stale, RESULT)
    assert {name: counted(name) - before[name] for name in names} == dict.fromkeys(names, 1)


def counted(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(f"inpaint_{name}_total", labels) or 0.0


async def test_a_backlog_of_another_version_holds_up_no_other_job(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    odd, plain = new_job(), new_job()
    for job in (odd, plain):
        await client.submit(job)
    server.hset(Shard().key("backlog"), odd.id, "of another version")
    claims = claimed(consumer, 8)
    assert {claim.job.id for claim in claims} == {odd.id, plain.id}
    for claim in claims:
        assert consumer.finish(claim, RESULT)
        assert await client.wait(claim.job.id, ALICE) == RESULT

"""A job from submit to result, as the edge and the worker see it, against a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from service import telemetry
from service.contracts import Failure, Job, Status
from service.errors import EmptyMask, JobCancelled, JobExpired, JobNotFinished, JobNotFound, QueueLost
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard, new_job_id
from service.queue.observation import Observation
from service.settings import Settings
from tests.integration.queue.conftest import ALICE, MODEL, RESULT, claimed

NewJob = Callable[..., Job]


async def test_a_submitted_job_is_claimed_whole(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    assert (claim.job.id, claim.job.client, claim.job.params) == (job.id, job.client, job.params)
    assert (claim.job.image, claim.job.mask) == (job.image, job.mask)
    assert claim.job.deadline == pytest.approx(job.deadline, abs=0.001)
    assert claim.attempt == 1
    assert 0 <= claim.queued_seconds < 60


async def test_a_waiter_gets_the_result_whole(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    await client.ping()
    (claim,) = claimed(consumer, 1)
    assert consumer.finish(claim, RESULT)
    assert await waiter == RESULT


async def subscribed(server: redis.Redis, channel: str) -> None:
    """Poll until somebody listens."""
    async with asyncio.timeout(60):
        while server.pubsub_numsub(channel)[0][1] == 0:
            await asyncio.to_thread(server.ping)


async def test_a_listening_worker_is_woken_by_a_submit(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    woken = threading.Event()
    consumer.listen([MODEL], woken.set)
    await subscribed(server, Shard().wake(MODEL))
    async with asyncio.timeout(60):
        await asyncio.to_thread(woken.wait, 60)  # that it stands is told as well
        woken.clear()
        await client.submit(new_job())
        await asyncio.to_thread(woken.wait, 60)
    assert woken.is_set()


async def test_a_cut_subscription_is_made_again(consumer: QueueConsumer, server: redis.Redis) -> None:
    woken = threading.Event()
    consumer.listen([MODEL], woken.set)
    await subscribed(server, Shard().wake(MODEL))
    assert await asyncio.to_thread(woken.wait, 60)
    woken.clear()
    server.client_kill_filter(_type="pubsub")
    assert await asyncio.to_thread(woken.wait, 60)


async def test_a_waiter_is_woken_by_the_result(
    client: QueueClient,
    consumer: QueueConsumer,
    new_job: NewJob,
    server: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.queue.client.POLL", 60.0)
    job = new_job(timeout=600)
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    await subscribed(server, Shard().done)
    consumer.finish(claim, RESULT)
    async with asyncio.timeout(30):
        assert await waiter == RESULT


async def test_a_waiter_gets_the_result_from_a_server_that_forgot_the_scripts(
    client: QueueClient,
    consumer: QueueConsumer,
    new_job: NewJob,
    server: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.queue.client.POLL", 60.0)
    job = new_job(timeout=600)
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    await subscribed(server, Shard().done)
    server.script_flush()
    consumer.finish(claim, RESULT)
    async with asyncio.timeout(30):
        assert await waiter == RESULT


async def test_a_first_waiter_misses_no_end_while_its_subscription_is_made(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.queue.client.POLL", 600.0)
    observe = client._observe

    async def ended_just_after(*arguments: Any) -> Observation:
        seen = await observe(*arguments)
        for claim in claimed(consumer):
            consumer.finish(claim, RESULT)
        return seen

    monkeypatch.setattr(client, "_observe", ended_just_after)
    job = new_job(timeout=900)
    await client.submit(job)
    async with asyncio.timeout(30):
        assert await client.wait(job.id, ALICE) == RESULT


async def test_an_empty_queue_gives_nothing(consumer: QueueConsumer) -> None:
    assert claimed(consumer, 4) == []


async def test_a_worker_gets_only_its_own_models(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    await client.submit(new_job())
    assert claimed(consumer, 4, "another") == []
    assert len(claimed(consumer, 4, "another", MODEL)) == 1


async def test_a_worker_gets_no_more_than_it_asked_for(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(3):
        await client.submit(new_job())
    assert len(claimed(consumer, 2)) == 2
    assert len(claimed(consumer, 2)) == 1


async def test_a_claim_tells_whether_more_jobs_may_wait(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(3):
        await client.submit(new_job())
    assert consumer.claim([MODEL], places=2, idle=True).more
    assert not consumer.claim([MODEL], places=2, idle=True).more


async def test_the_status_follows_the_job(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    assert (await client.status(job.id, ALICE)).status is Status.QUEUED
    (claim,) = claimed(consumer, 1)
    seen = await client.status(job.id, ALICE)
    assert (seen.status, seen.attempt, seen.model) == (Status.RUNNING, 1, MODEL)
    with pytest.raises(JobNotFinished):
        await client.result(job.id, ALICE)
    consumer.finish(claim, RESULT)
    assert (await client.status(job.id, ALICE)).status is Status.SUCCEEDED
    assert await client.result(job.id, ALICE) == RESULT


async def test_a_failure_reaches_the_waiter_as_its_own_error(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    assert consumer.fail(claim, Failure("empty_mask", "The mask selects nothing."))
    with pytest.raises(EmptyMask, match="selects nothing"):
        await client.wait(job.id, ALICE)
    assert (await client.status(job.id, ALICE)).failure == Failure("empty_mask", "The mask selects nothing.")


@pytest.mark.parametrize("action", ["status", "result", "cancel", "wait"])
async def test_a_job_is_unknown_to_other_clients(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, action: str
) -> None:
    job = new_job()
    await client.submit(job)
    with pytest.raises(JobNotFound):
        await getattr(client, action)(job.id, "mallory")
    assert (await client.status(job.id, ALICE)).status is Status.QUEUED


@pytest.mark.parametrize(
    "job_id", [pytest.param(new_job_id(), id="a new one"), "s0-*", "", "{s0}", "s0-" + "G" * 32]
)
async def test_an_id_that_nobody_got_is_unknown(client: QueueClient, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        await client.wait(job_id, ALICE)


async def test_a_waiting_job_can_be_cancelled(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    await client.cancel(job.id, ALICE)
    with pytest.raises(JobCancelled):
        await waiter
    assert claimed(consumer, 1) == []


async def test_cancelling_twice_is_harmless(client: QueueClient, new_job: NewJob) -> None:
    job = new_job()
    await client.submit(job)
    await client.cancel(job.id, ALICE)
    await client.cancel(job.id, ALICE)
    assert (await client.status(job.id, ALICE)).status is Status.CANCELLED


async def test_a_running_job_can_be_cancelled_and_its_worker_sees_it(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    kept, dropped = new_job(), new_job()
    for job in (kept, dropped):
        await client.submit(job)
    claims = claimed(consumer, 2)
    await client.cancel(dropped.id, ALICE)
    assert consumer.report([(claim, None) for claim in claims]) == {dropped.id}
    assert [claim.job.id for claim in consumer.renew(claims)] == [kept.id]


async def test_a_late_finish_does_not_overwrite_a_cancel(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    await client.cancel(job.id, ALICE)
    assert not consumer.finish(claim, RESULT)
    assert (await client.status(job.id, ALICE)).status is Status.CANCELLED


async def test_a_cancel_after_the_end_changes_nothing(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    consumer.finish(claim, RESULT)
    await client.cancel(job.id, ALICE)
    assert await client.result(job.id, ALICE) == RESULT


async def test_a_waiter_learns_of_the_deadline_without_any_worker(
    client: QueueClient, new_job: NewJob
) -> None:
    job = new_job(timeout=0.05)
    await client.submit(job)
    with pytest.raises(JobExpired):
        await client.wait(job.id, ALICE)


async def test_a_job_past_its_deadline_is_never_claimed(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    late, timely = new_job(timeout=-1), new_job()
    for job in (late, timely):
        await client.submit(job)
    assert [claim.job.id for claim in claimed(consumer, 2)] == [timely.id]
    assert (await client.status(late.id, ALICE)).status is Status.EXPIRED


async def test_a_running_job_ends_at_its_deadline(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    server.hset(Shard().key("job", job.id), "deadline", 1)
    with pytest.raises(JobExpired):
        await client.wait(job.id, ALICE)
    assert consumer.report([(claim, None)]) == {job.id}
    assert not consumer.finish(claim, RESULT)


async def test_upkeep_ends_running_jobs_at_their_deadline(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    server.zadd(Shard().key("deadlines"), {job.id: 1})
    assert consumer.reclaim() == 1
    assert consumer.renew([claim]) == []
    assert (await client.status(job.id, ALICE)).status is Status.EXPIRED


async def test_lost_data_are_told_to_a_waiter_and_are_unknown_later(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    waiter = asyncio.create_task(client.wait(job.id, ALICE))
    server.flushall()
    with pytest.raises(QueueLost):
        await waiter
    with pytest.raises(JobNotFound):
        await client.status(job.id, ALICE)


async def test_an_ended_job_leaves_neither_input_nor_bookkeeping(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    done, failed, cancelled = new_job(), new_job(), new_job()
    for job in (done, failed, cancelled):
        await client.submit(job)
    first, second, _ = claimed(consumer, 3)
    consumer.finish(first, RESULT)
    consumer.fail(second, Failure("internal", "broken"))
    await client.cancel(cancelled.id, ALICE)
    left = {key.decode() for key in server.scan_iter()}
    kinds = {key.removeprefix("moebius:{s0}:").split(":")[0] for key in left}
    assert kinds == {"ledger", "job", "events", "result", "flow", "claims"}
    assert server.hget(Shard().key("ledger"), "bytes") == b"0"


async def test_a_result_is_kept_as_long_as_the_knob_says_and_its_job_no_longer(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis, settings: Settings
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer, 1)
    consumer.finish(claim, RESULT)
    for kind in ("job", "result"):
        lifetime = server.pttl(Shard().key(kind, job.id)) / 1000
        assert settings.result_ttl - 60 < lifetime <= settings.result_ttl


async def test_every_ended_job_is_counted_once(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    before = {outcome: ended(outcome) for outcome in (Status.EXPIRED, Status.CANCELLED)}
    seen, late, upkept, cancelled = new_job(timeout=-1), new_job(timeout=-1), new_job(), new_job()
    await client.submit(seen)
    await client.status(seen.id, ALICE)
    await client.submit(late)
    claimed(consumer, 1)
    await client.submit(upkept)
    server.zadd(Shard().key("deadlines"), {upkept.id: 1})
    consumer.reclaim()
    await client.submit(cancelled)
    for _ in range(2):
        await client.cancel(cancelled.id, ALICE)
        await client.status(seen.id, ALICE)
    assert ended(Status.EXPIRED) - before[Status.EXPIRED] == 3
    assert ended(Status.CANCELLED) - before[Status.CANCELLED] == 1


def ended(outcome: Status) -> float:
    return telemetry.REGISTRY.get_sample_value("inpaint_jobs_total", {"outcome": outcome.value}) or 0.0

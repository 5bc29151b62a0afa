"""Who gets in and in which order: bounds, fairness between clients, priorities, a full server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from service.contracts import Job, Params, Priority
from service.errors import DeadlineUnreachable, QueueFull
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.fairness import cost_of
from service.queue.keys import Shard
from service.settings import Settings
from tests.integration.queue.conftest import ALICE, MODEL, RESULT, claimed

NewJob = Callable[..., Job]


@pytest.fixture
def settings() -> Settings:
    return Settings(model=MODEL, max_queued_jobs=8, max_queued_bytes=1000, max_client_share=1)


@pytest.fixture
def full_memory(server: redis.Redis) -> Iterator[Callable[[], None]]:
    """Lets the server refuse whatever needs memory, until the test ends."""

    def fill() -> None:
        server.config_set("maxmemory", 1)

    yield fill
    server.config_set("maxmemory", 0)


async def claimed_order(consumer: QueueConsumer) -> list[str]:
    return [claim.job.client for claim in claimed(consumer, 100)]


async def test_more_jobs_than_allowed_are_refused_until_one_ends(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(8):
        await client.submit(new_job())
    with pytest.raises(QueueFull) as refusal:
        await client.submit(new_job())
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after >= 1
    (claim,) = claimed(consumer, 1)
    consumer.finish(claim, RESULT)
    await client.submit(new_job())


async def test_more_bytes_than_allowed_are_refused(client: QueueClient, new_job: NewJob) -> None:
    job = new_job()
    object.__setattr__(job, "image", b"x" * 1000)
    with pytest.raises(QueueFull):
        await client.submit(job)
    await client.submit(new_job())


async def test_a_refused_job_leaves_nothing(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    object.__setattr__(job, "image", b"x" * 1000)
    with pytest.raises(QueueFull):
        await client.submit(job)
    assert list(server.scan_iter()) == []


async def test_one_clients_jobs_run_in_the_order_they_came(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    jobs = [new_job() for _ in range(6)]
    for job in jobs:
        await client.submit(job)
    assert [claim.job.id for claim in claimed(consumer, 6)] == [job.id for job in jobs]


async def test_clients_who_start_together_run_in_the_order_they_came(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    guests = [f"guest-{index}" for index in range(8)]
    for guest in guests:
        await client.submit(new_job(guest))
    assert await claimed_order(consumer) == guests


async def test_a_flood_of_one_client_does_not_delay_another(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(6):
        await client.submit(new_job("flood"))
    await client.submit(new_job("guest"))
    assert "guest" in (await claimed_order(consumer))[:2]


async def test_a_client_gains_nothing_by_waiting_idle(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(4):
        await client.submit(new_job("busy"))
    claimed(consumer, 3)
    for owner in ("newcomer", "newcomer", "newcomer"):
        await client.submit(new_job(owner))
    assert "busy" in (await claimed_order(consumer))[:3]


async def test_batch_work_is_slowed_but_not_starved(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(2):
        await client.submit(new_job("batch", priority=Priority.BATCH))
    for _ in range(6):
        await client.submit(new_job("hasty"))
    order = await claimed_order(consumer)
    assert order.index("hasty") < 2
    assert 3 <= len(order) - 1 - order[::-1].index("batch") < len(order) - 1


async def test_a_full_server_refuses_jobs_and_still_takes_results(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, full_memory: Callable[[], None]
) -> None:
    job = new_job()
    await client.submit(job)
    full_memory()
    with pytest.raises(QueueFull):
        await client.submit(new_job())
    (claim,) = claimed(consumer, 1)
    assert consumer.finish(claim, RESULT)
    assert await client.wait(job.id, ALICE) == RESULT


async def test_what_is_queued_is_counted_in_bytes(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    assert server.hget(Shard().key("ledger"), "bytes") == b"%d" % (len(job.image) + len(job.mask))


async def test_a_server_at_seven_tenths_of_its_memory_refuses_jobs_so_that_results_have_room(
    client: QueueClient, new_job: NewJob, server: redis.Redis, full_memory: Callable[[], None]
) -> None:
    used = server.info("memory")["used_memory"]
    server.config_set("maxmemory", int(used / 0.6))
    await client.submit(new_job())
    server.config_set("maxmemory", int(used / 0.8))
    try:
        with pytest.raises(QueueFull, match="memory"):
            await client.submit(new_job())
    finally:
        server.config_set("maxmemory", 0)


@pytest.fixture
def pace() -> float:
    """The throughput of a worker that takes ten seconds a job: far more than the test itself may take."""
    return cost_of(Params(steps=20, guidance_scale=2.0), places=1) / 10


async def test_a_job_that_can_not_end_in_time_is_refused_with_the_time_after_which_it_can(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, pace: float
) -> None:
    new_consumer(throughput=pace).register()
    for index in range(5):
        await client.submit(new_job(f"guest-{index}", timeout=600))
    with pytest.raises(DeadlineUnreachable) as refusal:
        await client.submit(new_job(timeout=40))
    assert (
        20 <= (refusal.value.retry_after or 0) <= 30
    )  # 50 s of others, 10 s of its own, 40 s to its deadline
    await client.submit(new_job(timeout=100))


async def test_only_what_is_before_a_job_in_the_fair_order_delays_it(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, pace: float
) -> None:
    new_consumer(throughput=pace).register()
    for _ in range(7):
        await client.submit(new_job("flood", timeout=600))
    with pytest.raises(DeadlineUnreachable):
        await client.submit(new_job("flood", timeout=50))
    await client.submit(new_job("guest", timeout=50))


async def test_more_workers_promise_more(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, pace: float
) -> None:
    first, second = new_consumer("first", throughput=pace), new_consumer("second", throughput=pace)
    first.register()
    for index in range(6):
        await client.submit(new_job(f"guest-{index}", timeout=600))
    with pytest.raises(DeadlineUnreachable):
        await client.submit(new_job(timeout=45))
    second.register()
    await client.submit(new_job(timeout=45))
    second.close()
    with pytest.raises(DeadlineUnreachable):
        await client.submit(new_job(timeout=45))


async def test_workers_that_all_fell_silent_promise_and_delay_nothing_any_more(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, pace: float
) -> None:
    """As those of a model that sleeps: what waits for the next worker is not measured by the last one."""
    for index in range(4):
        await client.submit(new_job(f"guest-{index}", timeout=600))
    job = new_job(timeout=45)
    new_consumer(throughput=pace, lease=1.0).register()
    with pytest.raises(DeadlineUnreachable):
        await client.submit(job)
    while (await client.load()).models[MODEL].workers:
        pass
    await client.submit(job)


async def test_what_runs_counts_half(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, pace: float
) -> None:
    consumer = new_consumer(throughput=pace)
    consumer.register()
    for index in range(4):
        await client.submit(new_job(f"guest-{index}", timeout=600))
    claimed(consumer, 4)
    with pytest.raises(DeadlineUnreachable):
        await client.submit(new_job(timeout=25))
    await client.submit(new_job(timeout=35))


async def test_a_full_queue_tells_when_a_tenth_of_its_work_is_done(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, pace: float
) -> None:
    new_consumer(throughput=pace).register()
    for _ in range(8):
        await client.submit(new_job(timeout=600))
    with pytest.raises(QueueFull, match="As many jobs") as refusal:
        await client.submit(new_job(timeout=600))
    assert refusal.value.retry_after == 8


async def test_an_empty_queue_owes_nothing(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob, server: redis.Redis
) -> None:
    consumer = new_consumer()
    for _ in range(3):
        await client.submit(new_job())
    first, second, third = claimed(consumer, 3)
    consumer.finish(first, RESULT)
    consumer.release(second)
    await client.cancel(second.job.id, ALICE)
    await client.cancel(third.job.id, ALICE)
    ledger = server.hgetall(Shard().key("ledger"))
    assert float(ledger[f"waiting:{MODEL}".encode()]) == float(ledger[f"running:{MODEL}".encode()]) == 0


async def test_a_job_takes_no_less_than_its_own_steps(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], new_job: NewJob
) -> None:
    new_consumer(throughput=1000.0, step_seconds=1.0).register()
    with pytest.raises(DeadlineUnreachable, match=r"it takes about 20\.0 s itself"):
        await client.submit(new_job(timeout=15))
    await client.submit(new_job(timeout=60))


async def test_one_client_can_not_fill_the_queue(queue_url: str, settings: Settings, new_job: NewJob) -> None:
    halved = QueueClient(queue_url, settings.model_copy(update={"max_client_share": 0.5}))
    for _ in range(4):
        await halved.submit(new_job("flood"))
    with pytest.raises(QueueFull, match="This client"):
        await halved.submit(new_job("flood"))
    await halved.submit(new_job("guest"))
    await halved.aclose()


async def test_a_client_has_its_share_again_when_its_jobs_have_ended(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    first, second = new_job(), new_job()
    await client.submit(first)
    await client.submit(second)
    size = len(first.image) + len(first.mask)
    shares = Shard().key("shares")
    assert server.hgetall(shares) == {b"jobs:alice": b"2", b"bytes:alice": b"%d" % (2 * size)}
    consumer.finish(claimed(consumer)[0], RESULT)
    assert server.hgetall(shares) == {b"jobs:alice": b"1", b"bytes:alice": b"%d" % size}
    await client.cancel(second.id, ALICE)
    assert server.hgetall(shares) == {}


async def test_jobs_that_never_ran_cost_their_client_nothing_in_the_fair_order(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    regretted = [new_job("alice") for _ in range(5)]
    for job in regretted:
        await client.submit(job)
    for job in regretted:
        await client.cancel(job.id, "alice")
    for _ in range(3):
        await client.submit(new_job("bob"))
    await client.submit(new_job("alice"))
    assert "alice" in (await claimed_order(consumer))[:2]

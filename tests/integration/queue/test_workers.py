"""What edges know of the workers, through their registrations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import redis

from service.contracts import ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from tests.integration.queue.conftest import MODEL

NewConsumer = Callable[..., QueueConsumer]


def served(name: str) -> ServedModel:
    return ServedModel(name, 256, "onnxruntime", "cpu", "fp16", "ab" * 32, default_steps=12)


async def test_without_workers_there_are_no_models(client: QueueClient) -> None:
    assert await client.models() == ()


async def test_every_model_of_every_worker_is_told_once_the_default_first(
    client: QueueClient, queue_url: str, settings: Settings
) -> None:
    consumers = [
        QueueConsumer(
            queue_url, settings, WorkerRegistration(f"worker-{index}", tuple(map(served, names)), 8)
        )
        for index, names in enumerate([("alpha", MODEL), ("alpha", "zeta")])
    ]
    for consumer in consumers:
        consumer.register()
    assert await client.models() == (served(MODEL), served("alpha"), served("zeta"))
    for consumer in consumers:
        consumer.close()


async def test_what_the_vae_costs_is_the_mean_of_the_workers_that_tell_it(
    client: QueueClient, queue_url: str, settings: Settings
) -> None:
    """One of an earlier version does not."""
    told = [replace(served(MODEL), vae_cost=cost) for cost in (8.0, None, 12.0)]
    consumers = [
        QueueConsumer(queue_url, settings, WorkerRegistration(f"worker-{index}", (model,), 8))
        for index, model in enumerate(told)
    ]
    for consumer in consumers:
        consumer.register()
    assert await client.models() == (replace(served(MODEL), vae_cost=10.0),)
    for consumer in consumers:
        consumer.close()


async def test_a_worker_registers_again_with_what_is_true_then(
    new_consumer: NewConsumer, server: redis.Redis
) -> None:
    consumer = new_consumer(renew_every=0.001, throughput=1.0)
    consumer.register()
    consumer.keep_true(lambda registration: replace(registration, throughput=5.0, places=3))
    async with asyncio.timeout(30):
        while server.hmget(Shard().key("worker", "worker-1"), "throughput", "places") != [b"5.0", b"3"]:
            await asyncio.to_thread(consumer.keep_up)


async def test_a_worker_that_leaves_is_forgotten_a_moment_later(
    client: QueueClient, new_consumer: NewConsumer
) -> None:
    consumer = new_consumer()
    consumer.register()
    assert len(await client.models()) == 1
    consumer.close()
    async with asyncio.timeout(30):
        while await client.models():
            await client.ping()


async def test_a_silent_worker_is_forgotten_after_its_lease(
    client: QueueClient, new_consumer: NewConsumer, server: redis.Redis
) -> None:
    silent, other = new_consumer("silent", lease=0.05), new_consumer("other")
    silent.register()
    async with asyncio.timeout(30):
        while await client.models():
            await asyncio.to_thread(server.ping)
    other.register()
    assert server.zrange(Shard().key("workers"), 0, -1) == [b"other"]


async def test_a_worker_that_keeps_up_stays_known(
    client: QueueClient, new_consumer: NewConsumer, server: redis.Redis
) -> None:
    consumer = new_consumer(renew_every=0.001)
    consumer.register()
    server.flushall()
    async with asyncio.timeout(30):
        while not await client.models():
            consumer.keep_up()


async def until_awake_are(client: QueueClient, names: list[str]) -> None:
    async with asyncio.timeout(30):
        while [model.name for model in await client.models()] != names:
            await client.ping()


async def test_a_model_that_may_sleep_is_told_after_its_last_worker_as_that_one_told_it(
    queue_url: str, settings: Settings, new_consumer: NewConsumer
) -> None:
    dozing = settings.model_copy(update={"sleeping_models": "zeta, never-served"})
    client = QueueClient(queue_url, dozing)
    models = (served(MODEL), served("zeta"))
    consumer = QueueConsumer(queue_url, settings, WorkerRegistration("only", models, 8))
    consumer.register()
    assert await client.models() == models
    consumer.close()
    await until_awake_are(client, ["zeta"])
    assert await client.models() == (served("zeta"),)
    await client.aclose()


async def test_a_sleeping_model_of_another_version_is_not_told_until_a_worker_serves_it(
    queue_url: str, settings: Settings, new_consumer: NewConsumer, server: redis.Redis
) -> None:
    client = QueueClient(queue_url, settings.model_copy(update={"sleeping_models": MODEL}))
    server.hset(Shard().key("ledger"), f"served:{MODEL}", b'[{"title": "of tomorrow"}]')
    assert await client.models() == ()
    consumer = new_consumer()
    consumer.register()
    await until_awake_are(client, [MODEL])
    consumer.close()
    await client.aclose()

"""Two shards, on plain servers and on one that keeps a cluster's rules: jobs are found, keys keep to slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from redis.crc import key_slot

from service.contracts import Job, Priority, Progress
from service.errors import JobNotFound
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.embedded import EmbeddedServer
from service.queue.fairness import cost_of
from service.queue.keys import Shard
from service.settings import Settings
from tests.conftest import emptied
from tests.integration.queue.conftest import ALICE, MODEL, RESULT, claimed
from tests.queue_server import QueueServer, running_server

NewJob = Callable[..., Job]


@pytest.fixture
def settings() -> Settings:
    return Settings(model=MODEL, queue_shards=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[QueueServer]:
    """A cluster of one node, which refuses a script that reaches into two slots."""
    with running_server("valkey", cluster=True) as server:
        yield server


@pytest.fixture(params=["valkey", "redis", "cluster"])
def queue_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty queue on each kind of server."""
    names = {"valkey": "queue_server", "redis": "redis_server", "cluster": "cluster"}
    server: EmbeddedServer | QueueServer = request.getfixturevalue(names[request.param])
    return emptied(server.url)


@pytest.fixture
def in_shard(new_job: NewJob, client: QueueClient) -> Callable[[int], Job]:
    """Makes a job of a shard."""

    def make(number: int) -> Job:
        ids = iter(lambda: client.new_job_id(ALICE), None)
        return replace(new_job(), id=next(name for name in ids if Shard.of(name) == Shard(number)))

    return make


async def test_a_worker_serves_both_shards(
    client: QueueClient, consumer: QueueConsumer, in_shard: Callable[[int], Job]
) -> None:
    jobs = [in_shard(number) for number in (0, 1, 0, 1)]
    for job in jobs:
        await client.submit(job)
    claims = claimed(consumer, 8)
    assert {claim.job.id for claim in claims} == {job.id for job in jobs}
    assert consumer.report([(claim, Progress(1, 2)) for claim in claims]) == set()
    assert len(consumer.renew(claims)) == 4
    for claim in claims:
        assert consumer.finish(claim, RESULT)
    for job in jobs:
        assert await client.wait(job.id, ALICE) == RESULT


async def test_no_shard_is_always_the_first(
    client: QueueClient, consumer: QueueConsumer, in_shard: Callable[[int], Job]
) -> None:
    for number in (0, 0, 1, 1):
        await client.submit(in_shard(number))
    assert {Shard.of(claimed(consumer)[0].job.id).number for _ in range(2)} == {0, 1}


async def test_a_worker_gets_no_more_places_than_it_has_from_both_together(
    client: QueueClient, consumer: QueueConsumer, in_shard: Callable[[int], Job]
) -> None:
    for number in (0, 1):
        await client.submit(replace(in_shard(number), places=4))
    assert len(claimed(consumer, 4)) == 1


async def test_every_key_of_a_job_lies_in_the_slot_of_its_shard(
    client: QueueClient, consumer: QueueConsumer, in_shard: Callable[[int], Job], server: redis.Redis
) -> None:
    consumer.register()
    for number in (0, 1):
        await client.submit(replace(in_shard(number), idempotency_key="key"))
    consumer.finish(claimed(consumer)[0], RESULT)
    slots = {key_slot(key) for key in server.scan_iter()}
    assert slots == {key_slot(b"{s0}"), key_slot(b"{s1}")}


async def test_an_idempotency_key_always_names_the_same_shard(client: QueueClient) -> None:
    shards = {Shard.of(client.new_job_id(ALICE, "order-17")) for _ in range(50)}
    assert len(shards) == 1
    assert {Shard.of(client.new_job_id(ALICE, f"order-{n}")).number for n in range(50)} == {0, 1}


async def test_the_load_is_summed_over_the_shards_and_a_worker_counts_once(
    client: QueueClient, new_consumer: Callable[..., QueueConsumer], in_shard: Callable[[int], Job]
) -> None:
    consumer = new_consumer(throughput=10.0)
    for number in (0, 1, 1):
        await client.submit(in_shard(number))
    batch = in_shard(0)
    params = batch.params.model_copy(update={"priority": Priority.BATCH})
    await client.submit(replace(batch, params=params))
    consumer.register()
    claimed(consumer)
    load = await client.load()
    depths = load.depths
    assert depths[Priority.INTERACTIVE].waiting + depths[Priority.INTERACTIVE].running == 3
    assert sum(depth.running for depth in depths.values()) == 1
    assert depths[Priority.BATCH].waiting + depths[Priority.BATCH].running == 1
    model = load.models[MODEL]
    assert sum(model.ready_cost.values()) == 3 * cost_of(batch.params, places=1)
    assert (model.workers, model.capacity) == (1, 10.0)


async def test_an_id_of_a_shard_that_is_not_there_is_unknown(client: QueueClient) -> None:
    with pytest.raises(JobNotFound):
        await client.status("s7-" + "0" * 32, ALICE)

"""A server that loses all its data while it runs, and one that has no memory left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
import redis

from service.contracts import Job
from service.errors import QueueFull
from service.queue.client import QueueClient
from service.queue.keys import Shard
from service.settings import Settings
from tests.faults.endings import ALICE, all_succeeded, nothing_is_left
from tests.faults.polling import PATIENCE, until
from tests.faults.processes import EdgeProcess, WorkerProcess
from tests.integration.edge.pictures import MASK, PHOTO

FILES = {"image": ("photo.png", PHOTO), "mask": ("mask.png", MASK)}
StartWorker = Callable[..., WorkerProcess]


async def test_after_flushall_waiters_are_told_and_workers_go_on(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    new_job: Callable[..., Job],
    start_worker: StartWorker,
    start_edge: Callable[[Settings], EdgeProcess],
) -> None:
    worker = start_worker(settings, gate_shut=True, max_batch=1)
    edge = start_edge(settings)
    async with httpx.AsyncClient(base_url=await edge.url(), timeout=PATIENCE) as http:
        await until(lambda: connection.zcard(Shard().key("workers")) == 1)
        waiters = [asyncio.create_task(http.post("/v1/inpaint", files=FILES)) for _ in range(3)]
        jobs = [(await http.post("/v1/jobs", files=FILES)).json()["id"] for _ in range(2)]
        await until(lambda: worker.at_gate and connection.hlen(Shard().key("backlog")) == 5)
        connection.flushall()
        for waiter in waiters:
            answer = await waiter
            assert (answer.status_code, answer.json()["code"]) == (503, "queue_lost")
        for job_id in jobs:
            answer = await http.get(f"/v1/jobs/{job_id}")
            assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    nothing_is_left(connection)
    following = [new_job() for _ in range(3)]
    for job in following:
        await client.submit(job)
    worker.open_gate()
    endings = await all_succeeded(client, [job.id for job in following])
    assert {ending.status.attempt for ending in endings.values()} == {1}
    nothing_is_left(connection)


@pytest.mark.parametrize("room", [1.2, 0.9], ids=["little room", "no room"])
async def test_a_full_server_refuses_new_jobs_and_ends_those_it_has(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    new_job: Callable[..., Job],
    start_worker: StartWorker,
    start_edge: Callable[[Settings], EdgeProcess],
    room: float,
) -> None:
    jobs = [new_job() for _ in range(4)]
    worker = start_worker(settings, gate_shut=True, max_batch=2, dummy_step_seconds=0.01)
    edge = start_edge(settings)
    for job in jobs:
        await client.submit(job)
    await until(lambda: worker.at_gate and connection.zcard(Shard().key("leases")) >= 2)
    async with httpx.AsyncClient(base_url=await edge.url(), timeout=PATIENCE) as http:
        await until(lambda: connection.zcard(Shard().key("workers")) == 1)
        connection.config_set("maxmemory", int(connection.info("memory")["used_memory"] * room))
        with pytest.raises(QueueFull) as refusal:
            await client.submit(new_job())
        assert refusal.value.retry_after is not None
        answer = await http.post("/v1/inpaint", files=FILES)
        assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
    worker.open_gate()
    await all_succeeded(client, [job.id for job in jobs])
    nothing_is_left(connection)
    connection.config_set("maxmemory", 0)
    again = new_job()
    await client.submit(again)
    await all_succeeded(client, [again.id])
    nothing_is_left(connection)
    assert await client.result(jobs[0].id, ALICE)

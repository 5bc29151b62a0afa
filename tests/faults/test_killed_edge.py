"""An edge killed between queueing a job and answering its client: the job is the queue's, not the edge's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis

from service.queue.client import QueueClient
from service.queue.keys import UPLOAD_LIFETIME, Shard
from service.settings import Settings
from tests.faults.endings import every_job_ended, nothing_is_left
from tests.faults.polling import PATIENCE, until
from tests.faults.processes import EdgeProcess, WorkerProcess
from tests.faults.proxy import FaultProxy
from tests.integration.edge.pictures import MASK, PHOTO

FILES = {"image": ("photo.png", PHOTO), "mask": ("mask.png", MASK)}
CLIENT = "address:127.0.0.1"
BACKLOG = Shard().key("backlog")
StartWorker = Callable[..., WorkerProcess]
StartEdge = Callable[[Settings], EdgeProcess]


async def post_until_killed(url: str, **request: Any) -> None:
    """A synchronous call whose edge dies under it."""
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        with pytest.raises(httpx.TransportError):
            await http.post(f"{url}/v1/inpaint", files=FILES, **request)


def queued_ids(connection: redis.Redis) -> list[str]:
    return [field.decode() for field, _ in connection.hscan_iter(BACKLOG)]


async def test_the_job_runs_to_its_end_and_nothing_is_left(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    start_worker: StartWorker,
    start_edge: StartEdge,
) -> None:
    worker, edge = start_worker(settings, gate_shut=True), start_edge(settings)
    await until(lambda: connection.zcard(Shard().key("workers")) == 1)
    call = asyncio.create_task(post_until_killed(await edge.url()))
    await until(lambda: worker.at_gate)
    (job_id,) = queued_ids(connection)
    edge.kill()
    await call
    worker.open_gate()
    endings = await every_job_ended(client, [job_id], CLIENT)
    assert endings[job_id].result is not None
    nothing_is_left(connection)


async def test_a_job_that_no_worker_takes_expires(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    start_worker: StartWorker,
    start_edge: StartEdge,
) -> None:
    worker, edge = start_worker(settings, gate_shut=True, max_batch=1), start_edge(settings)
    await until(lambda: connection.zcard(Shard().key("workers")) == 1)
    url = await edge.url()
    first = asyncio.create_task(post_until_killed(url))
    await until(lambda: worker.at_gate)
    second = asyncio.create_task(post_until_killed(url, data={"timeout": "1"}))
    await until(lambda: connection.hlen(BACKLOG) == 2)
    edge.kill()
    await asyncio.gather(first, second)
    await until(lambda: connection.hlen(BACKLOG) == 1)  # by the worker's upkeep: nobody waits for it
    worker.open_gate()
    await until(lambda: connection.hlen(BACKLOG) == 0)
    nothing_is_left(connection)


async def test_an_idempotency_key_finds_the_job_through_another_edge(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    proxy: FaultProxy,
    start_worker: StartWorker,
    start_edge: StartEdge,
) -> None:
    worker, first = start_worker(settings, gate_shut=True), start_edge(settings)
    second = start_edge(settings.model_copy(update={"redis_url": proxy.url}))
    await until(lambda: connection.zcard(Shard().key("workers")) == 1)
    key = {"Idempotency-Key": "of-the-lost-call"}
    call = asyncio.create_task(post_until_killed(await first.url(), headers=key))
    await until(lambda: worker.at_gate)
    (job_id,) = queued_ids(connection)
    first.kill()
    await call
    looks = proxy.arm("observe", "request", "hold")
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        url = f"{await second.url()}/v1/inpaint"
        again = asyncio.create_task(http.post(url, files=FILES, headers=key))
        await until(lambda: looks.reached)
        assert queued_ids(connection) == [job_id]
        looks.release()
        worker.open_gate()
        answer = await again
        repeated = await http.post(url, files=FILES, headers=key)
    assert answer.status_code == repeated.status_code == 200
    assert answer.headers["X-Job-Id"] == repeated.headers["X-Job-Id"] == job_id
    assert answer.content == repeated.content
    endings = await every_job_ended(client, [job_id], CLIENT)
    assert endings[job_id].status.attempt == 1
    nothing_is_left(connection)


async def test_pictures_of_a_job_that_was_never_queued_go_by_themselves(
    connection: redis.Redis,
    settings: Settings,
    proxy: FaultProxy,
    start_worker: StartWorker,
    start_edge: StartEdge,
) -> None:
    start_worker(settings)
    edge = start_edge(settings.model_copy(update={"redis_url": proxy.url}))
    await until(lambda: connection.zcard(Shard().key("workers")) == 1)
    url = await edge.url()
    connection.script_flush()  # now the script takes a second request, after that with the pictures
    first = proxy.arm("submit", "answer", "hold")
    call = asyncio.create_task(post_until_killed(url))
    await until(lambda: first.reached)
    edge.kill()
    await call
    pictures = [*connection.scan_iter(Shard().key("image:*")), *connection.scan_iter(Shard().key("mask:*"))]
    assert len(pictures) == 2
    assert all(0 < connection.ttl(key) <= UPLOAD_LIFETIME for key in pictures)
    assert queued_ids(connection) == []

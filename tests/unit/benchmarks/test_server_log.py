"""The server's log names the queue's scripts and clients' own commands, and leaves the time of nested ones out."""

from __future__ import annotations

import redis

from benchmarks.server_log import WITHIN_SCRIPTS, server_log
from service.contracts import Job, Params, Result, ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.settings import Settings

IMAGE = b"i" * 100_000


async def test_a_jobs_scripts_and_bytes_are_counted(queue_url: str) -> None:
    settings = Settings(max_client_share=1)
    model = ServedModel(settings.model, 256, "dummy", "cpu", "fp32", "")
    consumer = QueueConsumer(queue_url, settings, WorkerRegistration("w", (model,), places=1))
    client = QueueClient(queue_url, settings)
    params = Params(model=settings.model, seed=1, steps=20, guidance_scale=2.0)
    deadline = await client.now() + 3600
    with redis.Redis.from_url(queue_url) as connection, server_log(connection) as log:
        job_id = client.new_job_id("c")
        await client.submit(Job(job_id, "c", params, IMAGE, b"mask", deadline))
        (claim,) = consumer.claim([settings.model], places=1, idle=True).claims
        consumer.finish(claim, Result((b"picture",), "image/png", (1,), settings.model))
        await client.result(job_id, "c")
    await client.aclose()
    consumer.close()
    once = ("SET image", "SET mask", "GET image", "GET mask", "HGETALL result")
    assert {name: log.calls[name] for name in once} == dict.fromkeys(once, 1)
    # A script is said again where the server did not know it yet.
    assert all(1 <= log.calls[name] <= 3 for name in ("submit", "claim", "finish", "observe"))
    assert log.calls[WITHIN_SCRIPTS] > 30
    assert log.received_bytes > len(IMAGE)
    assert log.sent_bytes > len(IMAGE)
    assert log.file_bytes > len(IMAGE)
    spent = sum(log.microseconds.values()) - log.microseconds[WITHIN_SCRIPTS]
    assert log.busy_microseconds() == spent > 0

"""The queue alone: jobs a second from submit to finish, with processes that claim and finish and do nothing else."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from time import perf_counter

from service.contracts import Job, Params, Result, ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.settings import Settings

CLAIMERS = 8
SUBMITTERS = 32  # submits in flight, from one process
WAKE_WAIT = 0.2  # seconds; what a lost wake message costs
CLIENT = "benchmark"
SMALL = 5  # bytes of a picture


def jobs_per_second(url: str, jobs: int, picture_bytes: int = SMALL) -> float:
    """Submit `jobs` while CLAIMERS processes empty the queue; over the time from the first submit to the last
    finish. Each job's picture and its result have `picture_bytes`.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(CLAIMERS):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=claim_and_finish, args=(url, f"claimer-{number}", theirs, picture_bytes)
        )
        process.start()
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        started = perf_counter()
        asyncio.run(_submit_all(url, jobs, os.urandom(picture_bytes)))
        finished = 0
        while finished < jobs:
            for pipe in pipes:
                pipe.send("count")
            finished = sum(pipe.recv() for pipe in pipes)
        return jobs / (perf_counter() - started)
    finally:
        for pipe in pipes:
            pipe.send("stop")
        for process in processes:
            process.join()


def claim_and_finish(url: str, name: str, pipe: Connection, picture_bytes: int) -> None:
    """A process of its own: claims one job at a time; answers how many are finished, until told to stop."""
    result = Result(
        pictures=(os.urandom(picture_bytes),), content_type="image/png", seeds=(1,), model="dummy"
    )
    settings = Settings(queue_shards=1)
    model = ServedModel(settings.model, 256, "dummy", "cpu", "fp32", "")
    consumer = QueueConsumer(url, settings, WorkerRegistration(name, (model,), places=1))
    consumer.register()
    woken = threading.Event()
    consumer.listen([settings.model], woken.set)
    finished = 0
    pipe.send("ready")
    while True:
        while pipe.poll():
            if pipe.recv() == "stop":
                consumer.close()
                return
            pipe.send(finished)
        woken.clear()
        claims = consumer.claim([settings.model], places=1, idle=True).claims
        for claim in claims:
            finished += consumer.finish(claim, result)
        if not claims:
            woken.wait(WAKE_WAIT)


async def _submit_all(url: str, jobs: int, image: bytes) -> None:
    settings = Settings(
        max_queued_jobs=jobs + 1, max_queued_bytes=2 * jobs * (len(image) + 4), max_client_share=1
    )
    queue = QueueClient(url, settings)
    deadline = await queue.now() + 3600.0
    params = Params(model=settings.model, seed=1, steps=20, guidance_scale=2.0)
    left = iter(range(jobs))

    async def submit() -> None:
        for _ in left:
            await queue.submit(Job(queue.new_job_id(CLIENT), CLIENT, params, image, b"mask", deadline))

    try:
        await asyncio.gather(*(submit() for _ in range(SUBMITTERS)))
    finally:
        await queue.aclose()

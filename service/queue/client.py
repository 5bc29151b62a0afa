"""The queue as edges use it: submit, wait, look, cancel. Holds one subscription and no job."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from math import ceil
from typing import Any, cast

from service import telemetry
from service.contracts import Job, JobStatus, Result, ServedModel, Status
from service.errors import InternalError, JobNotFound, NotReady, QueueFull, QueueLost, QueueUnavailable
from service.queue.connection import connect_async, queue_errors
from service.queue.fairness import WEIGHTS, cost_of
from service.queue.keys import FLOW_LIFETIME, UPLOAD_LIFETIME, Shard
from service.queue.observation import Observation, decode_observation
from service.queue.scripts import load_script
from service.queue.wakes import Wakes
from service.queue.wire import decode_models, decode_result
from service.settings import Settings

POLL = 1.0  # seconds; what a lost wake message costs at most
OUTAGE = 5.0  # seconds that a waiter bears a silent server: a restart takes less
PING_TIMEOUT = 2.0
MOST_RETRY_AFTER = 60
NOT_FOUND, CANCELLED_NOW = 0, 2  # answers of lua/cancel.lua


class QueueClient:
    """Asynchronous access to the queue, in one event loop. Every method raises QueueUnavailable."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._settings = settings
        self._redis = connect_async(url)
        self._shard = Shard()
        self._scripts = {
            name: self._redis.register_script(load_script(name)) for name in ("submit", "observe", "cancel")
        }
        self._wakes = Wakes(self._redis, self._shard.done)
        self._epoch = b""

    async def submit(self, job: Job) -> None:
        """Queue a job; once this returns, the job survives a restart. Harmless when repeated.

        Raises QueueFull, with `retry_after`, where jobs, bytes or the server's memory are at their limit.
        """
        shard = Shard.of(job.id)
        image, mask = shard.key("image", job.id), shard.key("mask", job.id)
        with queue_errors("submit"):
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(image, job.image, ex=UPLOAD_LIFETIME)
                pipeline.set(mask, job.mask, ex=UPLOAD_LIFETIME)
                await pipeline.execute()
        answer = await self._run("submit", shard, self._submission(job))
        if answer[0] == b"queued":
            self._epoch = answer[1]
            return
        with queue_errors("submit"):
            await self._redis.delete(image, mask)
        if answer[0] == b"full":
            raise self._full(jobs=answer[1], running=answer[2], pace=float(answer[3]) / 1000)
        raise QueueLost("The queue lost the picture while the job was submitted. Send it again.")

    async def wait(self, job_id: str, client: str) -> Result:
        """The job's result, as soon as there is one; at most until the job's deadline.

        Raises the job's own error, JobExpired, JobCancelled, JobDeadLettered, JobNotFound, or QueueLost where
        the server lost its data in the meantime.
        """
        answered = time.monotonic()
        pause = POLL
        with self._wakes.expect(job_id) as ended:
            while True:
                ended.clear()
                try:
                    seen = await self._observe(job_id, client)
                    answered = time.monotonic()
                    if seen.ended:
                        return await self._outcome(seen)
                    pause = min(POLL, max(0.0, seen.remaining) + 0.001)
                except QueueUnavailable:
                    if time.monotonic() - answered > OUTAGE:
                        raise
                _heed_cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await ended.wait()

    async def status(self, job_id: str, client: str) -> JobStatus:
        """Where the job is. Raises JobNotFound, also for another client's job."""
        try:
            return (await self._observe(job_id, client)).status
        except QueueLost as error:
            raise _not_found(job_id) from error

    async def result(self, job_id: str, client: str) -> Result:
        """The result of an ended job. Raises its error, NotReady while it is not ended, or JobNotFound."""
        try:
            seen = await self._observe(job_id, client)
        except QueueLost as error:
            raise _not_found(job_id) from error
        if not seen.ended:
            raise NotReady(f"Job {job_id} is {seen.status.status}; ask again later.", retry_after=1)
        return await self._outcome(seen)

    async def cancel(self, job_id: str, client: str) -> None:
        """Cancel a job, waiting or running; one that has ended stays as it is. Raises JobNotFound."""
        found = await self._run("cancel", Shard.of(job_id), (job_id, client))
        if found == NOT_FOUND:
            raise _not_found(job_id)
        telemetry.count_job(Status.CANCELLED, int(found == CANCELLED_NOW))

    async def models(self) -> tuple[ServedModel, ...]:
        """What live workers serve, the default model first, each name once."""
        with queue_errors("models"):
            workers = cast(list[bytes], await self._redis.zrange(self._shard.key("workers"), 0, -1))
            async with self._redis.pipeline(transaction=False) as pipeline:
                for worker in workers:
                    pipeline.hget(self._shard.key("worker", worker.decode()), "models")
                registered = await pipeline.execute()
        found = {
            model.name: model for data in registered if data is not None for model in decode_models(data)
        }
        default = self._settings.model
        return tuple(found[name] for name in sorted(found, key=lambda name: (name != default, name)))

    async def now(self) -> float:
        """Unix seconds of the queue's clock, which deadlines are told in."""
        with queue_errors("now"):
            seconds, microseconds = await self._redis.time()
        return seconds + microseconds / 1e6

    async def ping(self) -> None:
        """Return if the server answers promptly."""
        with queue_errors("ping"):
            async with asyncio.timeout(PING_TIMEOUT):
                await self._redis.ping()

    async def aclose(self) -> None:
        """End the subscription and the connections."""
        await self._wakes.aclose()
        await self._redis.aclose()

    async def _run(self, script: str, shard: Shard, arguments: tuple[str | int | float, ...]) -> Any:
        with queue_errors(script):
            return await self._scripts[script](keys=shard.script_keys, args=arguments)

    def _submission(self, job: Job) -> tuple[str | int | float, ...]:
        if job.params.model is None or job.params.seed is None:
            raise ValueError("a job's model and seed are resolved before it is queued")
        return (
            *(job.id, job.client, job.params.model, job.params.priority, job.params.model_dump_json()),
            *(
                int(job.deadline * 1000),
                int(self._settings.result_ttl * 1000),
                len(job.image) + len(job.mask),
            ),
            *(cost_of(job.params), WEIGHTS[job.params.priority], int(FLOW_LIFETIME * 1000)),
            *(self._settings.max_queued_jobs, self._settings.max_queued_bytes),
        )

    def _full(self, *, jobs: int, running: int, pace: float) -> QueueFull:
        """`retry_after`: seconds until a tenth of the jobs is done, at the mean `pace` (seconds a job)."""
        seconds = ceil(pace * jobs / 10 / max(1, running))
        detail = (
            f"{jobs} jobs are waiting or running, and no more fit. Try again later, or send smaller pictures."
        )
        return QueueFull(detail, retry_after=min(MOST_RETRY_AFTER, max(1, seconds)))

    async def _observe(self, job_id: str, client: str) -> Observation:
        epoch, *answer = await self._run("observe", Shard.of(job_id), (job_id, client))
        if answer:
            telemetry.count_job(Status.EXPIRED, answer[0])
            return decode_observation(job_id, answer[1:])
        if self._epoch not in (b"", epoch):
            raise QueueLost("The queue lost its data, and the job with it. Send the request again.")
        raise _not_found(job_id)

    async def _outcome(self, seen: Observation) -> Result:
        if seen.status.failure is not None:
            raise seen.error()
        with queue_errors("result"):
            fields = await self._redis.hgetall(Shard.of(seen.status.id).key("result", seen.status.id))
        if not fields:
            raise _not_found(seen.status.id)
        try:
            return decode_result(cast(dict[bytes, bytes], fields))
        except ValueError as error:
            detail = "The result was written by another version. Run edges and workers of the same version."
            raise InternalError(detail) from error


def _heed_cancel() -> None:
    """Cancel now what redis-py did not: its asyncio.wait_for loses some cancels before Python 3.12."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"There is no job {job_id}, or it is not yours, or its result is no longer kept.")

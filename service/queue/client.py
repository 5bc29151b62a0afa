"""The queue as edges use it: submit, wait, watch, look, cancel. Holds one subscription and no job."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, cast

from redis.exceptions import NoScriptError, RedisError

from service import telemetry
from service.contracts import Job, JobEvent, JobStatus, Priority, Result, ServedModel, Status
from service.errors import (
    IdempotencyConflict,
    InternalError,
    JobNotFinished,
    JobNotFound,
    QueueLost,
    QueueUnavailable,
)
from service.queue.clock import ServerClock
from service.queue.connection import connect_async, queue_errors
from service.queue.keys import UPLOAD_LIFETIME, Shard, new_job_id
from service.queue.load import decode_load
from service.queue.observation import Observation, decode_observation
from service.queue.scripts import load_script
from service.queue.served import ServedModels
from service.queue.submission import refusal, submission
from service.queue.wakes import Wakes
from service.queue.wire import decode_result
from service.queue_load import QueueLoad
from service.settings import Settings

POLL = 1.0  # seconds; what a lost wake message costs at most
WATCH_POLL = 0.1  # seconds; progress is not worth a message to every edge
OUTAGE = 5.0  # seconds that a waiter bears a silent server: a restart takes less
PING_TIMEOUT = 2.0
TRANSITIONS = ("submit", "observe", "cancel", "load")
EVENT_ID = re.compile(r"[0-9]{1,15}")
NOT_FOUND, CANCELLED_NOW = 0, 2  # answers of lua/cancel.lua


class QueueClient:
    """Asynchronous access to the queue, in one event loop. Every method raises QueueUnavailable."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._settings = settings
        self._redis = connect_async(url)
        self._shards = tuple(map(Shard, range(settings.queue_shards)))
        self._scripts = {name: self._redis.register_script(load_script(name)) for name in TRANSITIONS}
        self._wakes = Wakes(self._redis, [shard.done for shard in self._shards])
        self._epochs: dict[Shard, bytes] = {}
        self._served = ServedModels(self._redis, settings.model, settings.sleeping_names)
        self._clock = ServerClock(self._redis)

    def new_job_id(self, client: str, idempotency_key: str | None = None) -> str:
        """An id for a job of `client`; its shard is always the same one for the same idempotency key."""
        if idempotency_key is None:
            return new_job_id(secrets.randbelow(len(self._shards)))
        return new_job_id(zlib.crc32(f"{client}:{idempotency_key}".encode()) % len(self._shards))

    async def submit(self, job: Job) -> str:
        """Queue a job; once this returns, the job survives a restart. Harmless when repeated.

        Answers the job's id: `job.id`, or that of the client's job that has its idempotency key already.
        Raises IdempotencyConflict where that one was another request, QueueFull where jobs, bytes or the
        server's memory are at their limit, and DeadlineUnreachable where what waits already takes longer than
        the job may; both with `retry_after`.
        """
        shard = Shard.of(job.id)
        kind, *answer = await self._store_and_submit(shard, job)
        if kind == b"queued":
            self._epochs[shard] = answer[0]
            return job.id
        with queue_errors("submit"):
            await self._redis.delete(shard.key("image", job.id), shard.key("mask", job.id))
        if kind == b"known":
            self._epochs[shard] = answer[0]
            return cast(bytes, answer[1]).decode()
        if kind == b"conflict":
            detail = (
                f"The idempotency key {job.idempotency_key!r} was used for another request. Take a new key."
            )
            raise IdempotencyConflict(detail)
        raise refusal(kind.decode(), answer)

    async def wait(self, job_id: str, client: str) -> Result:
        """The job's result, as soon as there is one; at most until the job's deadline.

        Raises the job's own error, JobExpired, JobCancelled, JobDeadLettered, JobNotFound, or QueueLost where
        the server lost its data in the meantime.
        """
        async with aclosing(self._observations(job_id, client, poll=POLL, result=True)) as observations:
            async for seen in observations:
                if seen.ended:
                    return await self._outcome(seen)
        raise AssertionError("a job is observed until it has ended")

    async def events(self, job_id: str, client: str, *, after: str = "") -> AsyncGenerator[JobEvent]:
        """The job's events after the one with the id `after`, as they come, until it has ended.

        Raises JobNotFound at the first step, and QueueLost where the server lost its data in the meantime.
        """
        last = int(after) if EVENT_ID.fullmatch(after) else 0
        position: int | None = None
        async with aclosing(self._observations(job_id, client, poll=WATCH_POLL, after=last)) as observations:
            async for seen in observations:
                for event in seen.events:
                    yield event
                moved = seen.status.position != position
                if moved and seen.status.position is not None and not seen.told_position:
                    yield seen.position_event()
                position = seen.status.position

    async def status(self, job_id: str, client: str) -> JobStatus:
        """Where the job is. Raises JobNotFound, also for another client's job."""
        return (await self._observe(job_id, client)).status

    async def result(self, job_id: str, client: str) -> Result:
        """The result of an ended job. Raises its error, JobNotFinished while it is not ended, or JobNotFound."""
        seen = await self._observe(job_id, client)
        if not seen.ended:
            detail = f"Job {job_id} is {seen.status.status}. Ask again later, or read its events."
            raise JobNotFinished(detail, retry_after=1)
        return await self._outcome(seen)

    async def cancel(self, job_id: str, client: str) -> None:
        """Cancel a job, waiting or running; one that has ended stays as it is. Raises JobNotFound."""
        found = await self._run("cancel", self._shard_of(job_id), (job_id, client))
        if found == NOT_FOUND:
            raise _not_found(job_id)
        telemetry.count_job(Status.CANCELLED, int(found == CANCELLED_NOW))

    async def models(self) -> tuple[ServedModel, ...]:
        """What live workers serve, and what sleeps, the default model first, each name once; as of a moment ago."""
        return await self._served.models()

    async def share(self, job_id: str, client: str) -> str:
        """A link to the result of a client's ended job, of 128 random bits, for whoever is given it. It lasts as long
        as results are kept.
        """
        shard = self._shard_of(job_id)
        link = new_job_id(shard.number)
        with queue_errors("share"):
            lifetime = int(self._settings.result_ttl * 1000)
            await self._redis.set(shard.key("link", link), f"{job_id} {client}", px=lifetime)
        return link

    async def shared(self, link: str) -> tuple[str, str]:
        """The job and the client of a link. Raises JobNotFound for one that was never given, or is over."""
        shard = self._shard_of(link)
        with queue_errors("share"):
            found = await self._redis.get(shard.key("link", link))
        if found is None:
            raise JobNotFound("There is no picture at this link, or it is no longer kept.")
        job_id, _, client = cast(bytes, found).decode().partition(" ")
        return job_id, client

    async def load(self) -> QueueLoad:
        """What waits and runs, who works, and how full the server is, over all shards."""
        return decode_load([await self._run("load", shard, tuple(Priority)) for shard in self._shards])

    async def now(self) -> float:
        """Unix seconds of the queue's clock, which deadlines are told in."""
        return await self._clock.now()

    async def ping(self) -> None:
        """Return if the server answers promptly."""
        with queue_errors("ping"):
            async with asyncio.timeout(PING_TIMEOUT):
                await self._redis.ping()

    async def aclose(self) -> None:
        """End the subscription and the connections."""
        await self._wakes.aclose()
        await self._redis.aclose()

    async def _store_and_submit(self, shard: Shard, job: Job) -> list[Any]:
        """Store the payloads and run the script, in one round trip where the server knows the script."""
        script, arguments = self._scripts["submit"], submission(job, self._settings)
        keys = shard.script_keys
        with queue_errors("submit"):
            async with self._redis.pipeline(transaction=False) as pipeline:
                # nx: said again, it leaves the payloads of a job that is queued their lifetime.
                pipeline.set(shard.key("image", job.id), job.image, ex=UPLOAD_LIFETIME, nx=True)
                pipeline.set(shard.key("mask", job.id), job.mask, ex=UPLOAD_LIFETIME, nx=True)
                pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
                answers = await pipeline.execute(raise_on_error=False)
            for error in answers:
                if isinstance(error, RedisError) and not isinstance(error, NoScriptError):
                    raise error
            if isinstance(answers[-1], NoScriptError):
                return cast(list[Any], await script(keys=keys, args=arguments))
            return cast(list[Any], answers[-1])

    async def _run(self, script: str, shard: Shard, arguments: tuple[str | int | float, ...]) -> Any:
        with queue_errors(script):
            return await self._scripts[script](keys=shard.script_keys, args=arguments)

    async def _run_reading_result(
        self, script: str, shard: Shard, arguments: tuple[str | int | float, ...], job_id: str
    ) -> tuple[Any, dict[bytes, bytes] | None]:
        """Also read the job's result, in the same round trip; None where the server did not know the script."""
        keys = shard.script_keys
        with queue_errors(script):
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.evalsha(self._scripts[script].sha, len(keys), *keys, *arguments)
                pipeline.hgetall(shard.key("result", job_id))
                answer, stored = await pipeline.execute(raise_on_error=False)
            if isinstance(answer, NoScriptError):
                return await self._scripts[script](keys=keys, args=arguments), None
            for error in (answer, stored):
                if isinstance(error, RedisError):
                    raise error
            return answer, cast(dict[bytes, bytes], stored)

    def _shard_of(self, job_id: str) -> Shard:
        shard = Shard.of(job_id)
        if shard not in self._shards:
            raise _not_found(job_id)
        return shard

    async def _observations(
        self, job_id: str, client: str, *, poll: float, after: int | None = None, result: bool = False
    ) -> AsyncGenerator[Observation]:
        """The job each `poll` seconds and when it ends, the last time then; with its events after `after`, and
        with its `result` once it is said to have ended.

        A silent server is borne for a while.
        """
        answered = time.monotonic()
        pause = poll
        shard = self._shard_of(job_id)
        epoch = self._epochs.get(shard)  # of this job: after a loss, other jobs begin another one
        with self._wakes.expect(job_id) as ended:
            while True:
                told = ended.is_set()
                ended.clear()
                try:
                    seen = await self._observe(job_id, client, after, epoch, result and told)
                    epoch = self._epochs[shard]
                    answered = time.monotonic()
                    after = seen.last_event if after is not None else None
                    yield seen
                    if seen.ended:
                        return
                    pause = min(poll, max(0.0, seen.remaining) + 0.001)
                except QueueUnavailable:
                    if time.monotonic() - answered > OUTAGE:
                        raise
                _heed_cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await ended.wait()

    async def _observe(
        self,
        job_id: str,
        client: str,
        after: int | None = None,
        known: bytes | None = None,
        result: bool = False,
    ) -> Observation:
        """The job now. Raises JobNotFound, or QueueLost where the epoch is no longer the `known` one."""
        shard = self._shard_of(job_id)
        arguments = (job_id, client, "" if after is None else after)
        stored = None
        if result:
            answer, stored = await self._run_reading_result("observe", shard, arguments, job_id)
        else:
            answer = await self._run("observe", shard, arguments)
        epoch, *answer = answer
        if answer:
            self._epochs[shard] = epoch
            telemetry.count_job(Status.EXPIRED, answer[0])
            return replace(decode_observation(job_id, answer[1:], after or 0), stored=stored)
        if known is not None and known != epoch:
            raise QueueLost("The queue lost its data, and the job with it. Send the request again.")
        raise _not_found(job_id)

    async def _outcome(self, seen: Observation) -> Result:
        if seen.status.failure is not None:
            raise seen.error()
        fields = seen.stored
        if fields is None:
            with queue_errors("result"):
                key = Shard.of(seen.status.id).key("result", seen.status.id)
                fields = cast(dict[bytes, bytes], await self._redis.hgetall(key))
        if not fields:
            raise _not_found(seen.status.id)
        try:
            return decode_result(fields)
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

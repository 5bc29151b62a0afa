"""Admit, enqueue, await, look and cancel: what every transport does with a request. Knows no HTTP and no gRPC."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from opentelemetry.trace import SpanKind

from service import telemetry, tracing
from service.contracts import Job, JobEvent, JobStatus, Result
from service.edge.admission import InpaintRequest, admit, served_models
from service.errors import InpaintError
from service.log_context import note
from service.queue.client import QueueClient
from service.settings import Settings

__all__ = [
    "InpaintAnswer",
    "InpaintRequest",
    "admit",
    "cancel_job",
    "inpaint",
    "inpaint_events",
    "job_events",
    "job_result",
    "job_status",
    "served_models",
    "submit",
]

logger = logging.getLogger(__name__)

CANCEL_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class InpaintAnswer:
    """A finished job."""

    job_id: str
    result: Result


async def inpaint(queue: QueueClient, settings: Settings, request: InpaintRequest) -> InpaintAnswer:
    """Run one request to its end. Being cancelled cancels the job, unless it has an idempotency key: then the
    client may come back for it.

    Raises the `InvalidRequest` and `InvalidPicture` errors at admission, `Unavailable` from the queue, and
    the error of the job itself.
    """
    started = time.perf_counter()
    async with _enqueued(queue, settings, request) as job_id:
        with telemetry.request_timer(request.transport, "sync", started):
            return InpaintAnswer(job_id, await queue.wait(job_id, request.client))


async def inpaint_events(
    queue: QueueClient, settings: Settings, request: InpaintRequest
) -> AsyncGenerator[JobEvent | InpaintAnswer]:
    """Run one request to its end and tell its events on the way; the last item is the answer, in place of the
    terminal event. Being closed or cancelled cancels the job, unless it has an idempotency key.

    Raises what `inpaint` raises.
    """
    started = time.perf_counter()
    async with _enqueued(queue, settings, request) as job_id:
        with telemetry.request_timer(request.transport, "sync", started):
            async with aclosing(queue.events(job_id, request.client)) as events:
                async for event in events:
                    if not event.terminal:
                        yield event
            answer = await job_result(queue, job_id, request.client)
    yield answer


async def submit(queue: QueueClient, settings: Settings, request: InpaintRequest) -> JobStatus:
    """Queue a job that nobody waits for, and say where it stands. Raises what `inpaint` raises at admission."""
    started = time.perf_counter()
    with telemetry.counting_rejections():
        job = await _admitted(queue, settings, request, settings.async_timeout)
        job_id = await _enqueue(queue, job)
    with telemetry.request_timer(request.transport, "async", started):
        return await queue.status(job_id, request.client)


async def job_status(queue: QueueClient, job_id: str, client: str) -> JobStatus:
    """Where a job stands. Raises JobNotFound, also for another client's job, and QueueUnavailable."""
    status = await queue.status(job_id, client)
    note(job=job_id)
    return status


async def job_result(queue: QueueClient, job_id: str, client: str) -> InpaintAnswer:
    """What an ended job made. Raises JobNotFinished, the job's own error, JobNotFound and QueueUnavailable."""
    answer = InpaintAnswer(job_id, await queue.result(job_id, client))
    note(job=job_id)
    return answer


async def job_events(
    queue: QueueClient, job_id: str, client: str, after: str = ""
) -> AsyncGenerator[JobEvent]:
    """The events of a job after the one with the id `after`, to its terminal one; from the start if empty.

    Raises JobNotFound at the first event, QueueLost and QueueUnavailable. To stop watching does not touch
    the job.
    """
    async with aclosing(queue.events(job_id, client, after=after)) as events:
        async for event in events:
            note(job=job_id)
            yield event


async def cancel_job(queue: QueueClient, job_id: str, client: str) -> JobStatus:
    """Cancel a job, waiting or running, and say where it stands; one that has ended stays as it is. Harmless
    when repeated. Raises JobNotFound and QueueUnavailable.
    """
    await queue.cancel(job_id, client)
    return await job_status(queue, job_id, client)


@asynccontextmanager
async def _enqueued(queue: QueueClient, settings: Settings, request: InpaintRequest) -> AsyncIterator[str]:
    """The id of a job that lives as long as the block waits for it, or longer if it has an idempotency key."""
    with telemetry.counting_rejections():
        job = await _admitted(queue, settings, request, settings.sync_timeout)
    try:
        with telemetry.counting_rejections():
            job_id = await _enqueue(queue, job)
        yield job_id
    except (asyncio.CancelledError, GeneratorExit):
        if job.idempotency_key is None:
            await _cancel(queue, job)
        raise


async def _admitted(
    queue: QueueClient, settings: Settings, request: InpaintRequest, default_timeout: float
) -> Job:
    with tracing.span("admit"):
        return await admit(queue, settings, request, default_timeout)


async def _enqueue(queue: QueueClient, job: Job) -> str:
    """Queue the job; whoever works on it does so in this trace."""
    with tracing.span("enqueue", kind=SpanKind.PRODUCER, attributes={tracing.JOB_ID: job.id}) as span:
        job_id = await queue.submit(tracing.carried(job))
        tracing.name_job(span, job_id)  # where the idempotency key is known, it is another one
        note(job=job_id)
        return job_id


async def _cancel(queue: QueueClient, job: Job) -> None:
    """Tell the workers that nobody waits any more; if that fails, the job still ends at its deadline."""
    try:
        async with asyncio.timeout(CANCEL_TIMEOUT):
            await queue.cancel(job.id, job.client)
    except (InpaintError, TimeoutError) as error:
        logger.warning("an abandoned job could not be cancelled", extra={"job": job.id, "reason": str(error)})

"""Admit, enqueue, await: what every transport does with a request. Knows no HTTP and no gRPC."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from service import telemetry
from service.contracts import Job, Params, Result, ServedModel
from service.edge.threads import in_thread
from service.errors import InpaintError, NotReady, UnknownModel
from service.imaging.decode import inspect_picture
from service.imaging.mask import decode_mask
from service.queue.client import QueueClient
from service.queue.keys import new_job_id
from service.settings import Settings

logger = logging.getLogger(__name__)

NOT_READY_RETRY = 5.0
CANCEL_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class InpaintRequest:
    """A request as any transport hands it over: who asks, two encoded pictures, and parameters in range."""

    client: str
    image: bytes
    mask: bytes
    params: Params
    transport: str = "rest"


@dataclass(frozen=True, slots=True)
class InpaintAnswer:
    """A finished job."""

    job_id: str
    result: Result


async def inpaint(queue: QueueClient, settings: Settings, request: InpaintRequest) -> InpaintAnswer:
    """Run one request to its end. Being cancelled cancels the job.

    Raises the `InvalidRequest` and `InvalidPicture` errors at admission, `Unavailable` from the queue, and
    the error of the job itself.
    """
    started = time.perf_counter()
    with telemetry.counting_rejections():
        job = await admit(queue, settings, request)
        await _submit(queue, job)
    with telemetry.request_timer(request.transport, "sync", started):
        return InpaintAnswer(job.id, await _await_result(queue, job))


async def served_models(queue: QueueClient) -> tuple[ServedModel, ...]:
    """Models that live workers have loaded, the default first. Raises `NotReady` if there is none."""
    models = await queue.models()
    if not models:
        raise NotReady(
            "No worker serves a model now. Start one (moebius worker), or try again shortly.",
            retry_after=NOT_READY_RETRY,
        )
    return models


async def admit(queue: QueueClient, settings: Settings, request: InpaintRequest) -> Job:
    """Check a request before it is queued, and resolve what the client left out (model, seed, deadline)."""
    params = _resolve(request.params, await served_models(queue))
    await in_thread(lambda: _check_pictures(request, settings))
    return Job(
        id=new_job_id(),
        client=request.client,
        params=params,
        image=request.image,
        mask=request.mask,
        deadline=await queue.now() + (params.timeout or settings.sync_timeout),
    )


def _resolve(params: Params, served: Sequence[ServedModel]) -> Params:
    names = [model.name for model in served]
    model = params.model or names[0]
    if model not in names:
        raise UnknownModel(f"model is {model!r}, which no worker serves. Served now: {', '.join(names)}.")
    seed = secrets.randbelow(params.largest_seed + 1) if params.seed is None else params.seed
    return params.model_copy(update={"model": model, "seed": seed})


def _check_pictures(request: InpaintRequest, settings: Settings) -> None:
    header = inspect_picture(
        request.image, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels
    )
    size = (header.width, header.height)
    decode_mask(request.mask, size, request.params.mask_polarity, max_pixels=settings.max_pixels)


async def _submit(queue: QueueClient, job: Job) -> None:
    try:
        await queue.submit(job)
    except asyncio.CancelledError:
        await _cancel(queue, job)
        raise


async def _await_result(queue: QueueClient, job: Job) -> Result:
    try:
        return await queue.wait(job.id, job.client)
    except asyncio.CancelledError:
        await _cancel(queue, job)
        raise


async def _cancel(queue: QueueClient, job: Job) -> None:
    """Tell the workers that nobody waits any more; if that fails, the job still ends at its deadline."""
    try:
        async with asyncio.timeout(CANCEL_TIMEOUT):
            await queue.cancel(job.id, job.client)
    except (InpaintError, TimeoutError) as error:
        logger.warning("an abandoned job could not be cancelled", extra={"job": job.id, "reason": str(error)})

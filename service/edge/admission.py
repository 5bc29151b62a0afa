"""What is checked and decided before a request is queued: pictures, model, seed, cost, deadline, repeats.

Knows no HTTP and no gRPC.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from service.contracts import DEFAULT_GUIDANCE_SCALE, DEFAULT_STEPS, Job, Params, ServedModel
from service.edge.threads import in_thread
from service.errors import InvalidParameter, NotReady, UnknownModel
from service.imaging.crop_count import crop_count
from service.imaging.decode import inspect_picture
from service.imaging.mask import decode_mask
from service.queue.client import QueueClient
from service.sampling import resolve_sampling, usual_steps
from service.settings import Settings

NOT_READY_RETRY = 5.0
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class InpaintRequest:
    """A request as any transport hands it over: who asks, two encoded pictures, and parameters in range."""

    client: str
    image: bytes
    mask: bytes
    params: Params
    transport: str = "rest"
    idempotency_key: str | None = None


async def served_models(queue: QueueClient) -> tuple[ServedModel, ...]:
    """Models that live workers have loaded, the default first. Raises `NotReady` if there is none."""
    models = await queue.models()
    if not models:
        raise NotReady(
            "No worker serves a model now. Start one (moebius worker), or try again shortly.",
            retry_after=NOT_READY_RETRY,
        )
    return models


async def admit(
    queue: QueueClient, settings: Settings, request: InpaintRequest, default_timeout: float
) -> Job:
    """Check a request before it is queued, and resolve what the client left out: model, steps, guidance, seed and
    deadline (`default_timeout` seconds from now where the request names none).

    Raises the `InvalidRequest` and `InvalidPicture` errors, NotReady and QueueUnavailable.
    """
    check_idempotency_key(request.idempotency_key)
    served = await served_models(queue)
    model = _chosen(request.params.model, served)
    params = _resolved(request.params, model, served)
    crops, fingerprint = await in_thread(lambda: _examine(request, model, settings))
    return Job(
        id=queue.new_job_id(request.client, request.idempotency_key),
        client=request.client,
        params=params,
        image=request.image,
        mask=request.mask,
        deadline=await queue.now() + (request.params.timeout or default_timeout),
        places=crops * request.params.n,
        distilled=model.is_distilled,
        vae_cost=model.vae_cost,
        idempotency_key=request.idempotency_key,
        fingerprint=fingerprint,
    )


def check_idempotency_key(key: str | None) -> None:
    """Raise `InvalidParameter` for a key that is not 1 to 255 visible ASCII characters."""
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidParameter(
            "Idempotency-Key must be 1 to 255 visible ASCII characters without spaces, a UUID say. "
            "Use a new one for each new request, and the same one to repeat it."
        )


def fingerprint_of(request: InpaintRequest) -> str:
    """sha256 over image, mask and the parameters as the client sent them.

    Without the timeout: it says how long the client waits and not what it asks for, and over gRPC it is
    another one in each repeat. What is left out is the same as the usual number, whatever the model's is: a
    repeat must not differ because another model has become the default.
    """
    steps = usual_steps(request.params.sampler, DEFAULT_STEPS)
    usual = {"steps": steps, "guidance_scale": DEFAULT_GUIDANCE_SCALE}
    left_out = {name: value for name, value in usual.items() if getattr(request.params, name) is None}
    told = request.params.model_copy(update=left_out)
    params = told.model_dump_json(exclude={"timeout"}).encode()
    digest = hashlib.sha256()
    for part in (request.image, request.mask, params):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _chosen(name: str | None, served: Sequence[ServedModel]) -> ServedModel:
    for model in served:
        if name in (None, model.name):
            return model
    names = ", ".join(model.name for model in served)
    raise UnknownModel(f"model is {name!r}, which no worker serves. Served now: {names}.")


def _resolved(params: Params, model: ServedModel, served: Sequence[ServedModel]) -> Params:
    others = [other.name for other in served if not other.is_distilled]
    params = resolve_sampling(params, model, model.name, others=others)
    seed = secrets.randbelow(params.largest_seed + 1) if params.seed is None else params.seed
    return params.model_copy(update={"model": model.name, "seed": seed})


def _examine(request: InpaintRequest, model: ServedModel, settings: Settings) -> tuple[int, str]:
    """The crops that the hole needs, and the fingerprint where it matters: for a request that may be repeated.
    Work for a thread: both read many bytes.
    """
    header = inspect_picture(
        request.image, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels
    )
    size = (header.width, header.height)
    flags = decode_mask(request.mask, size, request.params.mask_polarity, max_pixels=settings.max_pixels)
    fingerprint = fingerprint_of(request) if request.idempotency_key is not None else ""
    return crop_count(flags, request.params, model.image_size), fingerprint

"""What lua/submit.lua is told of a job, and the refusals that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from service.contracts import Job
from service.errors import DeadlineUnreachable, InpaintError, QueueFull, QueueLost
from service.queue.fairness import WEIGHTS, cost_of
from service.queue.keys import FLOW_LIFETIME
from service.settings import Settings

MOST_MEMORY = 0.7  # of the server's; the rest is for results
MOST_RETRY_AFTER = 600  # seconds

FULL = {
    "jobs": "As many jobs wait and run as the queue may hold. Try again later.",
    "bytes": "The pictures that wait have as many bytes as the queue may hold. Try again later, or send smaller ones.",
    "share": "This client has as many jobs or bytes in the queue as one may. Try again when some have ended.",
    "memory": "The queue's server has little memory left. Try again later, or send smaller pictures.",
}


def submission(job: Job, settings: Settings) -> tuple[str | int | float, ...]:
    """The arguments of the script. Raises ValueError where model, seed, steps or guidance are still open."""
    params = job.params
    if params.model is None or params.seed is None:
        raise ValueError("a job's model and seed are resolved before it is queued")
    shards = settings.queue_shards
    return (
        *(job.id, job.client, params.model, params.priority, params.model_dump_json()),
        *(int(job.deadline * 1000), int(settings.result_ttl * 1000), len(job.image) + len(job.mask)),
        *(
            cost_of(params, job.places, distilled=job.distilled, vae_cost=job.vae_cost),
            job.places,
            params.steps_run,
            WEIGHTS[params.priority],
        ),
        *(int(FLOW_LIFETIME * 1000), ceil(settings.max_queued_jobs / shards)),
        *(ceil(settings.max_queued_bytes / shards), settings.max_client_share, MOST_MEMORY),
        *(job.idempotency_key or "", job.fingerprint, job.traceparent or "", job.tracestate or ""),
    )


def refusal(kind: str, answer: Sequence[Any]) -> InpaintError:
    """The error for an answer {kind, ...} that queued nothing; `retry_after` is what the backlog needs."""
    if kind == "full":
        bound, milliseconds = answer
        return QueueFull(FULL[bound.decode()], retry_after=_bounded(milliseconds))
    if kind == "late":
        missing, own = answer
        detail = (
            f"With the work that waits already, this job would end {missing / 1000:.1f} s after its deadline; "
            f"it takes about {own / 1000:.1f} s itself. Try again later, allow more time (`timeout`), or ask for "
            "fewer steps or candidates."
        )
        return DeadlineUnreachable(detail, retry_after=_bounded(missing))
    return QueueLost("The queue lost the picture while the job was submitted. Send it again.")


def _bounded(milliseconds: int) -> int:
    return min(MOST_RETRY_AFTER, max(1, ceil(milliseconds / 1000)))

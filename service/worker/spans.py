"""What the step loop tells of a job's attempt as spans: its part in VAE calls, each join, its steps."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from service.tracing import Attributes, is_traced, past_span
from service.worker.batch import HeldJob, Item

NAMES = {"vae_encode": "vae encode", "vae_decode": "vae decode"}


def tell_vae_call(stage: str, items: Sequence[Item], seconds: float) -> None:
    """A VAE call over `items` took `seconds`: a span for each job that has a part in it."""
    for job in {item.job for item in items}:
        if is_traced(job.claim.job):
            own = sum(item.job is job for item in items)
            sizes = {"moebius.batch.items": len(items), "moebius.items": own}
            past_span(NAMES[stage], job.claim.job, seconds, sizes)


def tell_joins(items: Sequence[Item], step: int, batch_size: int) -> None:
    """These items join the batch, which has `batch_size` then, before the loop's step `step`: a span for each of their
    jobs, as long as they waited for their places.
    """
    for job in {item.job for item in items}:
        if is_traced(job.claim.job):
            own = [item for item in items if item.job is job]
            first = min(own, key=lambda item: item.waiting_since)
            attributes = {
                "moebius.step": step,
                "moebius.batch.items": batch_size,
                "moebius.items": len(own),
                "moebius.wait.steps": step - first.waiting_from_step,
            }
            past_span("batch join", job.claim.job, monotonic() - first.waiting_since, attributes)


def tell_denoised(job: HeldJob) -> None:
    """The last step of the job's last item is done."""
    sizes = job.batch_sizes or []
    attributes: Attributes = {
        "moebius.steps": len(sizes),
        "moebius.batch.sizes": sizes,
        "moebius.items": len(job.finished),
    }
    past_span("denoise", job.claim.job, job.stages["denoise"], attributes)

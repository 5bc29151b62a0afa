"""What the device's threads tell of a job's attempt as spans: its VAE calls, each join, its steps."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from service.tracing import Attributes, is_traced, past_span
from service.worker.batch import HeldJob, Item


def tell_encode(item: Item, seconds: float) -> None:
    """A VAE call that ends now took `seconds` for the crop of an item."""
    past_span("vae encode", item.job.claim.job, seconds, {"moebius.crop": item.crop})


def tell_decode(item: Item, seconds: float) -> None:
    """The same for a finished item."""
    told = {"moebius.candidate": item.candidate, "moebius.crop": item.crop}
    past_span("vae decode", item.job.claim.job, seconds, told)


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
        "moebius.items": job.items,
    }
    past_span("denoise", job.claim.job, job.stages["denoise"], attributes)

"""What a client is told when its job fails: its own mistake in full, a fault of ours without its text."""

from __future__ import annotations

import logging

from service.contracts import Failure, Job
from service.errors import InpaintError, InternalError
from service.log_context import job_fields

logger = logging.getLogger(__name__)

OUR_FAULT = Failure(InternalError.code, "The picture could not be filled, by a fault of ours. Try again.")
TOO_LARGE_FOR_DEVICE = Failure(
    InternalError.code,
    "The worker's device had no memory left for this picture, even with no other beside it. Try again later.",
)
NOT_FINITE = Failure(
    InternalError.code,
    "The model gave no usable picture: its numbers were not finite. Try another seed, or lower guidance_scale.",
)


def failure_of(error: Exception, job: Job) -> Failure:
    """The failure to tell for `error`; what is not one of our errors is logged, and not told."""
    if isinstance(error, InpaintError):
        return Failure(error.code, error.detail)
    logger.error("a job failed by a fault of ours", extra=job_fields(job), exc_info=error)
    return OUR_FAULT

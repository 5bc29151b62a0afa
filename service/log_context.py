"""What every log line of a request or a job carries beside its own words: which request, which job, which trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from service import tracing
from service.contracts import Job

_fields: ContextVar[dict[str, str] | None] = ContextVar("log_fields", default=None)


@contextmanager
def log_fields(**fields: str) -> Iterator[dict[str, str]]:
    """Put `fields` into every line that is logged in the block, by this task or thread and the tasks that it starts;
    `note` adds to them.
    """
    held = {**current_fields(), **fields}
    before = _fields.set(held)
    try:
        yield held
    finally:
        _fields.reset(before)


def note(**fields: str) -> None:
    """Add to the fields of the innermost block; nothing outside of one."""
    held = _fields.get()
    if held is not None:
        held.update(fields)


def current_fields() -> dict[str, str]:
    """What a line that is logged here and now carries."""
    return {**(_fields.get() or {}), **tracing.current_ids()}


def job_fields(job: Job) -> dict[str, str]:
    """What a line about this job carries, wherever it is logged."""
    return {"job": job.id, **tracing.ids_of(job)}

"""Where a job is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from moebius_client.errors import Problem
from moebius_client.job_event import TERMINAL


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as its client may know it.

    `status`: "queued", "running", "succeeded", "failed", "cancelled", "expired" or "dead_lettered". `attempt`: workers
    that took it so far. `position`: jobs before it while it is queued. `step` of `steps` are done. `failure`: why it
    ended without a picture.
    """

    id: str
    status: str
    model: str
    attempt: int
    position: int | None
    step: int
    steps: int
    created: datetime
    deadline: datetime
    failure: Problem | None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.status in TERMINAL

"""What a job tells while it waits and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moebius_client.errors import Problem
from moebius_client.result import decoded

if TYPE_CHECKING:
    from PIL import Image

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "expired", "dead_lettered"})


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture of how a candidate looks at this step: an encoded file of at most 256 pixels a side."""

    candidate: int
    content_type: str
    data: bytes

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image."""
        return decoded(self.data)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event, and where the job was then.

    `kind`: "queued" (`position` jobs are before it), "running", "progress" (`step` of `steps` are done), "snapshot"
    (stands for events that are no longer kept), and the last one: "succeeded", "failed", "cancelled", "expired" or
    "dead_lettered", with `failure` where there is no picture. `id` resumes a watch after it. `preview` comes with every
    k-th step of a request with `preview=k`.
    """

    id: str
    kind: str
    attempt: int
    position: int | None
    step: int
    steps: int
    failure: Problem | None = None
    preview: Preview | None = None

    @property
    def terminal(self) -> bool:
        """Whether no event follows."""
        return self.kind in TERMINAL

    @property
    def fraction(self) -> float:
        """How much of the denoising is done, 0 to 1."""
        if self.kind == "succeeded":
            return 1.0
        return min(1.0, self.step / self.steps) if self.steps else 0.0

"""One photo to be filled, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from service.contracts import Failure, Params

Status = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Task:
    """A photo, its mask, and the file that it becomes. `params.seed` is never None. `effective_mask` is where the mask
    that counted is written to, None where nobody asked for it; `params.effective_mask` says the same.
    """

    photo: Path
    mask: Path
    output: Path
    params: Params
    effective_mask: Path | None = None


@dataclass(frozen=True, slots=True)
class Filling:
    """What is known of a filled photo. `boxes` are (left, top, right, bottom), `stages` seconds by name."""

    seeds: tuple[int, ...]
    model: str
    boxes: Sequence[tuple[int, int, int, int]]
    stages: Mapping[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended for a photo: "done" with `outputs` and `filling`, "failed" with `failure`, or "skipped", since
    its `outputs` were there already. `mask` is None where none was found; `effective_mask` is the file that was
    written, and `lacks_effective_mask` tells of a skipped photo whose file of that kind is not there.
    """

    photo: Path
    mask: Path | None
    status: Status
    outputs: tuple[Path, ...] = field(default=())
    filling: Filling | None = None
    failure: Failure | None = None
    effective_mask: Path | None = None
    lacks_effective_mask: bool = False

    def document(self) -> dict[str, Any]:
        """The line of --json; a field that does not apply is left out."""
        told: dict[str, Any] = {
            "photo": str(self.photo),
            "mask": None if self.mask is None else str(self.mask),
            "status": self.status,
            "outputs": [str(path) for path in self.outputs],
        }
        if self.effective_mask is not None:
            told["effective_mask"] = str(self.effective_mask)
        if self.filling is not None:
            told |= {
                "seeds": list(self.filling.seeds),
                "model": self.filling.model,
                "boxes": [list(box) for box in self.filling.boxes],
                "stages": {stage: round(seconds, 4) for stage, seconds in self.filling.stages.items()},
                "notes": list(self.filling.notes),
            }
        if self.failure is not None:
            told["error"] = {"code": self.failure.code, "detail": self.failure.detail}
        return told


def done(task: Task, outputs: Sequence[Path], filling: Filling) -> Outcome:
    """A photo that was filled, and written to `outputs`."""
    return Outcome(task.photo, task.mask, "done", tuple(outputs), filling, effective_mask=task.effective_mask)


def failed(task: Task, code: str, detail: str) -> Outcome:
    """A photo that could not be filled."""
    return Outcome(task.photo, task.mask, "failed", failure=Failure(code, detail))

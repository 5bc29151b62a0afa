"""How far a job is, as an event tells it."""

from __future__ import annotations

import pytest

from moebius_client import JobEvent
from moebius_client.job_event import TERMINAL


def event(kind: str, step: int = 0, steps: int = 0) -> JobEvent:
    return JobEvent(id="1-0", kind=kind, attempt=1, position=None, step=step, steps=steps)


@pytest.mark.parametrize(
    ("kind", "step", "steps", "fraction"),
    [("queued", 0, 0, 0), ("progress", 5, 20, 0.25), ("progress", 21, 20, 1), ("succeeded", 0, 0, 1)],
)
def test_the_part_that_is_done_lies_between_nothing_and_all(
    kind: str, step: int, steps: int, fraction: float
) -> None:
    assert event(kind, step, steps).fraction == fraction


def test_nothing_follows_an_end() -> None:
    assert all(event(kind).terminal for kind in TERMINAL)
    assert not any(event(kind).terminal for kind in ("queued", "running", "progress", "snapshot"))

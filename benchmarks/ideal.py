"""What the two batchings would do on a device with no cost but its steps: the same arrivals, worked out on paper.

It tells how much of a measured ratio is the batching's, and how much the server's own cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.arrivals import Arrival
from benchmarks.simulated import Curve


@dataclass(slots=True)
class _Running:
    arrival: Arrival
    steps_left: int


def ideal_latencies(
    arrivals: Sequence[Arrival], curve: Curve, places: int, *, whole_requests: bool
) -> list[float]:
    """Seconds from each arrival to the end of its last step, in the order of arrival.

    With `whole_requests` nobody joins until the batch has run empty.
    """
    now, arrived = 0.0, 0
    batch: list[_Running] = []
    latencies: dict[Arrival, float] = {}
    while len(latencies) < len(arrivals):
        if not batch:
            now = max(now, arrivals[arrived].at)
        open_for = 0 if whole_requests and batch else places - len(batch)
        while open_for and arrived < len(arrivals) and arrivals[arrived].at <= now:
            batch.append(_Running(arrivals[arrived], arrivals[arrived].steps))
            arrived += 1
            open_for -= 1
        now += curve.seconds(len(batch))
        for one in batch:
            one.steps_left -= 1
        latencies |= {one.arrival: now - one.arrival.at for one in batch if one.steps_left == 0}
        batch = [one for one in batch if one.steps_left > 0]
    return [latencies[arrival] for arrival in arrivals]

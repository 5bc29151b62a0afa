"""Open-loop load on a queue: requests come when they come, and each waits for its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmarks.arrivals import Arrival
from service.contracts import Job, Params
from service.queue.client import QueueClient
from service.settings import Settings

DEADLINE = 3600.0  # seconds; no job of a benchmark may expire
CLIENT = "benchmark"


@dataclass(frozen=True, slots=True)
class Served:
    """An arrival, and when its result was visible, in seconds after the start."""

    arrival: Arrival
    visible_at: float

    @property
    def latency(self) -> float:
        """Seconds from the intended arrival, not from when we came to send it."""
        return self.visible_at - self.arrival.at


@dataclass(frozen=True, slots=True)
class Payload:
    """What every request sends."""

    image: bytes
    mask: bytes
    guidance_scale: float = 1.0
    color_match: bool = False


async def serve_all(
    url: str, settings: Settings, payload: Payload, arrivals: Sequence[Arrival]
) -> list[Served]:
    """Send each arrival at its time, and answer when each result was visible. Raises what jobs raise, as a group."""
    queue = QueueClient(url, settings)
    try:
        deadline = await queue.now() + DEADLINE
        start = perf_counter()
        async with asyncio.TaskGroup() as group:
            sent = [
                group.create_task(_serve(queue, settings, payload, arrival, start, deadline))
                for arrival in arrivals
            ]
        return [task.result() for task in sent]
    finally:
        await queue.aclose()


async def _serve(
    queue: QueueClient, settings: Settings, payload: Payload, arrival: Arrival, start: float, deadline: float
) -> Served:
    await asyncio.sleep(max(0.0, start + arrival.at - perf_counter()))
    params = Params(
        model=settings.model,
        seed=arrival.seed,
        steps=arrival.steps,
        guidance_scale=payload.guidance_scale,
        color_match=payload.color_match,
    )
    job_id = queue.new_job_id(CLIENT)
    await queue.submit(Job(job_id, CLIENT, params, payload.image, payload.mask, deadline))
    await queue.wait(job_id, CLIENT)
    return Served(arrival, perf_counter() - start)

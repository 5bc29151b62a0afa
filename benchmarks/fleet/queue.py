"""The queue in simulated time: start-time fair order, admission by predicted finish, leases, attempts.

The same rules as service/queue/lua/submit.lua, claim.lua and reclaim.lua, without a server; a test compares the
order with the real one. One model, one shard. Left out: jobs of the last attempt that run alone, and deadlines of
what runs.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf

from benchmarks.fleet.workload import Request
from service.contracts import DEFAULT_GUIDANCE_SCALE, Params, Priority
from service.queue.consumer import MOST_ATTEMPTS
from service.queue.fairness import WEIGHTS, cost_of

ARRIVAL_TAG = 1e-6  # what a later arrival of the same start adds to its tag


@dataclass(slots=True, eq=False)
class SimulatedJob:
    """A request in the queue or on a worker, and when what happened to it; times in seconds after the start."""

    request: Request
    cost: float
    start: float = 0.0
    tag: float = 0.0
    attempts: int = 0
    claimed_at: float | None = None  # first
    joined_at: float | None = None
    visible_at: float | None = None

    @property
    def id(self) -> str:
        """As unique as its request's number."""
        return str(self.request.number)

    @property
    def ended_at(self) -> float:
        """When its result was visible; never, of one without."""
        return inf if self.visible_at is None else self.visible_at

    @property
    def latency(self) -> float:
        """From its request."""
        return self.ended_at - self.request.at

    @property
    def wait(self) -> float:
        """From its request to its first step."""
        return inf if self.joined_at is None else self.joined_at - self.request.at

    @property
    def weight(self) -> float:
        """Of its priority."""
        return WEIGHTS[self.request.priority]


@dataclass(slots=True)
class Counts:
    """What became of jobs, and how often the queue was asked."""

    submitted: int = 0
    refused: int = 0
    claims: int = 0  # scripts that workers sent because a job came, whether they got one or not
    redelivered: int = 0
    dead_lettered: int = 0
    expired: int = 0  # past their deadline when they would have been claimed
    finished: int = 0


@dataclass(slots=True)
class SimulatedQueue:
    """Jobs that wait, in fair order. `rate` is what the live workers do, in cost a second."""

    distilled: bool = False
    vae_cost: float | None = None
    deadline: float = 120.0
    counts: Counts = field(default_factory=Counts)
    rate: float = 0.0
    step_seconds: float = 0.0
    _ready: list[tuple[float, SimulatedJob]] = field(default_factory=list)
    _clock: float = 0.0
    _flows: dict[tuple[Priority, str], float] = field(default_factory=dict)
    _waiting_cost: float = 0.0
    _running_cost: float = 0.0
    _workers: int = 0

    def __len__(self) -> int:
        return len(self._ready)

    def count_worker(self, change: int, rate: float) -> None:
        """A worker has come (1) or is known to have gone (-1), with its `rate`."""
        self._workers += change
        self.rate += change * rate

    def submit(self, request: Request) -> SimulatedJob | None:
        """Queue a request; None where it could not be done before its deadline."""
        cost = _cost(request.crops, request.steps, self.distilled, self.vae_cost)
        job = SimulatedJob(request, cost)
        flow = (request.priority, request.client)
        job.start = max(self._clock, self._flows.get(flow, 0.0))
        job.tag = job.start + (self.counts.submitted + 1) * ARRIVAL_TAG
        if self._predicted_seconds(job) > self.deadline:
            self.counts.refused += 1
            return None
        self.counts.submitted += 1
        self._flows[flow] = job.start + cost / job.weight
        self._waiting_cost += cost
        self._insert(job)
        return job

    def claim(self, places: int, now: float) -> list[SimulatedJob]:
        """The jobs with the lowest tags, until their places reach `places`. What is past its deadline ends here."""
        taken: list[SimulatedJob] = []
        while places > 0 and self._ready:
            _, job = self._ready.pop(0)
            self._waiting_cost -= job.cost
            if now > job.request.at + self.deadline:
                self.counts.expired += 1
                continue
            self._clock = max(self._clock, job.start)
            self._running_cost += job.cost
            job.attempts += 1
            job.claimed_at = now if job.claimed_at is None else job.claimed_at
            places -= job.request.crops
            taken.append(job)
        return taken

    def finish(self, job: SimulatedJob, now: float) -> None:
        """Its result is visible."""
        job.visible_at = now
        self._running_cost -= job.cost
        self.counts.finished += 1

    def reclaim(self, job: SimulatedJob) -> bool:
        """Its lease has run out: back to its old place, or after the last attempt to the dead letters (False)."""
        self._running_cost -= job.cost
        if job.attempts >= MOST_ATTEMPTS:
            self.counts.dead_lettered += 1
            return False
        self.counts.redelivered += 1
        self._waiting_cost += job.cost
        self._insert(job)
        return True

    def _insert(self, job: SimulatedJob) -> None:
        insort(self._ready, (job.tag, job), key=_tag)

    def _predicted_seconds(self, job: SimulatedJob) -> float:
        """As submit.lua predicts: what is before it, half of what runs, and its own time."""
        if self.rate <= 0:
            return 0.0
        before = bisect_right(self._ready, job.tag, key=_tag)
        mean = self._waiting_cost / max(1, len(self._ready))
        wait = (before * mean + self._running_cost / 2) / self.rate
        own = job.cost * self._workers / self.rate
        return wait + max(own, job.request.steps * self.step_seconds)


@lru_cache
def _cost(crops: int, steps: int, distilled: bool, vae_cost: float | None) -> float:
    params = Params(steps=steps, guidance_scale=DEFAULT_GUIDANCE_SCALE)
    return cost_of(params, crops, distilled=distilled, vae_cost=vae_cost)


def _tag(entry: tuple[float, SimulatedJob]) -> float:
    return entry[0]

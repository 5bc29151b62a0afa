"""A worker in simulated time: the turns of service/worker/turns.py around the service's own plan()."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import simpy

from benchmarks.fleet.queue import SimulatedJob
from benchmarks.fleet.timing import Timing
from service.worker.profile import BatchProfile
from service.worker.scheduler import JobView, Limits, plan
from service.worker.turns import SMOOTHING


class Feed(Protocol):
    """The worker's way to the queue."""

    def wish(self, worker: SimulatedWorker, places: int) -> None:
        """From now on this worker claims for so many places whenever a job waits."""

    def deliver(self, worker: SimulatedWorker, job: SimulatedJob) -> None:
        """All crops of a job are decoded."""


@dataclass(slots=True, eq=False)
class HeldJob:
    """A job on a worker: crops that wait, steps left of those that run, and how many are to be decoded."""

    job: SimulatedJob
    order: int
    waiting_since: int
    claimed_at: float
    waiting: int
    prepared: bool = False
    encoded: int = 0
    running: list[int] = field(default_factory=list)
    finished: int = 0
    decoded: int = 0

    @property
    def view(self) -> JobView:
        """What the scheduler sees of it."""
        ready = self.waiting if self.prepared else 0
        return JobView(
            self.job.id,
            self.order,
            self.job.weight,
            self.waiting,
            ready,
            tuple(self.running),
            self.waiting_since,
        )


@dataclass(slots=True)
class Tally:
    """What a worker's device did while it was watched."""

    busy_seconds: float = 0.0
    batches: Counter[int] = field(default_factory=Counter)  # steps by batch size


class SimulatedWorker:
    """One device with its loop. `run` is its life; interrupted, it dies with all that it holds."""

    def __init__(
        self, env: simpy.Environment, feed: Feed, profile: BatchProfile, limits: Limits, timing: Timing
    ) -> None:
        self.tally = Tally()
        self.watched = False
        self.alive = True
        self.held: dict[str, HeldJob] = {}
        self.leased: dict[str, SimulatedJob] = {}  # also what is on its way here, or to the client
        self._env = env
        self._feed = feed
        self._profile = profile
        self._limits = limits
        self._timing = timing
        self._life = object()  # another one after each death
        self._inbox: list[SimulatedJob | list[SimulatedJob]] = []
        self._news: simpy.Event | None = None
        self._busy = True  # the first turn does not wait: it has to wish for jobs
        self._claims = self._claims_seen = self._jobs_seen = self._steps = 0
        self._arrived_at: dict[str, float] = {}
        self._prepare_seconds = 0.0

    def run(self) -> Generator[simpy.Event, None, None]:
        """Turns until it is interrupted."""
        try:
            while True:
                if not self._busy and not self._inbox:
                    self._news = self._env.event()
                    yield self._news
                    self._news = None
                yield from self._turn()
        except simpy.Interrupt:
            self.alive = False

    def die(self) -> list[SimulatedJob]:
        """What it held, for its leases to run out; it may be run again as a fresh process."""
        lost = list(self.leased.values())
        self.held = {}
        self.leased = {}
        self._life = object()
        self._inbox = []
        self._news = None
        self._busy = True
        self._claims = self._claims_seen = self._jobs_seen = self._steps = 0
        self._arrived_at = {}
        self._prepare_seconds = 0.0
        return lost

    def begin_claim(self, jobs: list[SimulatedJob]) -> None:
        """The queue has leased it jobs; they are here after the claim's time, and decoded some time later."""
        self._claims += 1
        self.leased.update((job.id, job) for job in jobs)
        self._after(self._timing.claim_seconds, partial(self._arrive, jobs))

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call after some time, unless this worker has died by then."""
        life = self._life
        timeout = self._env.timeout(seconds)
        assert timeout.callbacks is not None, "it has not happened yet"
        timeout.callbacks.append(lambda _: call() if self._life is life else None)

    def _arrive(self, jobs: list[SimulatedJob]) -> None:
        self._arrived_at.update((job.id, self._env.now) for job in jobs)
        self._tell(jobs)
        for job in jobs:
            self._after(self._timing.prepare_seconds, partial(self._tell, job))

    def _tell(self, news: SimulatedJob | list[SimulatedJob]) -> None:
        self._inbox.append(news)
        if self._news is not None and not self._news.triggered:
            self._news.succeed()

    def _turn(self) -> Generator[simpy.Event, None, None]:
        self._take_news()
        decoding = sum(held.finished for held in self.held.values())
        if decoding:
            yield self._work(decoding * self._profile.decode_seconds)
            self._hand_over()
        fresh = self._schedule()
        if fresh:
            yield self._work(fresh * self._profile.encode_seconds)
        batch = sum(len(held.running) for held in self.held.values())
        if batch:
            yield self._work(self._profile.expected_step(batch))
            yield self._env.timeout(self._timing.turn_seconds)
            self._advance(batch)
        self._busy = any(held.running or held.finished for held in self.held.values())

    def _work(self, seconds: float) -> simpy.Event:
        if self.watched:
            self.tally.busy_seconds += seconds
        return self._env.timeout(seconds)

    def _take_news(self) -> None:
        news, self._inbox = self._inbox, []
        for one in news:
            if isinstance(one, list):
                self._hold(one)
            elif one.id in self.held:
                self.held[one.id].prepared = True
                took = self._env.now - self.held[one.id].claimed_at
                self._prepare_seconds += SMOOTHING * (took - self._prepare_seconds)

    def _hold(self, jobs: list[SimulatedJob]) -> None:
        self._claims_seen += 1
        for job in jobs:
            self._jobs_seen += 1
            arrived = self._arrived_at.pop(job.id)
            self.held[job.id] = HeldJob(job, self._jobs_seen, self._steps, arrived, job.request.crops)

    def _hand_over(self) -> None:
        for held in list(self.held.values()):
            held.decoded += held.finished
            held.finished = 0
            if held.decoded == held.job.request.crops:
                del self.held[held.job.id]
                self._after(self._timing.finish_seconds, partial(self._deliver, held.job))

    def _deliver(self, job: SimulatedJob) -> None:
        del self.leased[job.id]
        self._feed.deliver(self, job)

    def _schedule(self) -> int:
        """Let items join and wish for claims; answers how many crops the autoencoder has not seen yet."""
        limits = Limits(
            self._limits.places, self._limits.batching, self._profile.prepare_steps(self._prepare_seconds)
        )
        planned = plan([held.view for held in self.held.values()], limits)
        for job_id in planned.join:
            held = self.held[job_id]
            held.waiting -= 1
            held.running.append(held.job.request.steps)
            if held.job.joined_at is None:
                held.job.joined_at = self._env.now
        self._feed.wish(self, planned.claim if self._claims_seen == self._claims else 0)
        return len(planned.join)

    def _advance(self, batch: int) -> None:
        self._steps += 1
        if self.watched:
            self.tally.batches[batch] += 1
        for held in self.held.values():
            if not held.running:
                continue
            left = [steps - 1 for steps in held.running if steps > 1]
            ended = len(held.running) - len(left)
            held.running = left
            if ended:
                held.finished += ended
                held.waiting_since = self._steps

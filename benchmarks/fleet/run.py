"""One run: requests come to a queue and its workers, until all are served; what was seen meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

import simpy

from benchmarks.fleet.queue import Counts, SimulatedJob, SimulatedQueue
from benchmarks.fleet.timing import Failures, Timing
from benchmarks.fleet.wishes import Wishes
from benchmarks.fleet.worker import SimulatedWorker
from benchmarks.fleet.workload import Request
from service.worker.profile import BatchProfile
from service.worker.scheduler import Limits

PATIENCE = 3600.0  # seconds of simulated time
UPKEEP_EVERY = 1.0  # seconds between two looks of a worker at expired leases


class Claimer(Enum):
    """Which of the workers that a job wakes gets it: whichever is first, or the one that holds the fewest jobs."""

    ANY = "any"
    EMPTIEST = "emptiest"


@dataclass(frozen=True, slots=True)
class Plant:
    """What serves: workers of one kind."""

    workers: int
    profile: BatchProfile
    limits: Limits
    timing: Timing
    failures: Failures | None = None
    deadline: float = 120.0
    claimer: Claimer = Claimer.ANY


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a run. Jobs are all that were accepted; device and batches are those of the watched time."""

    jobs: list[SimulatedJob]
    counts: Counts
    watched_seconds: float
    busy_seconds: float
    batches: Counter[int]
    area_in_system: float  # job-seconds from submit to the visible result
    ended_at: float


def simulate(plant: Plant, requests: Sequence[Request], *, seed: int, watch_from: float = 0.0) -> Observed:
    """Serve all requests. Devices are watched from `watch_from` to the last arrival. TimeoutError where a job has not
    ended PATIENCE seconds after that.
    """
    fleet = _Fleet(plant, Random(seed))
    watch_until = requests[-1].at
    fleet.env.process(fleet.receive(requests))
    fleet.env.process(fleet.watch(watch_from, watch_until))
    fleet.env.process(fleet.give_up(watch_until + PATIENCE))
    for worker in fleet.workers:
        fleet.start(worker)
    fleet.env.run(until=fleet.done)
    return Observed(
        jobs=fleet.jobs,
        counts=fleet.queue.counts,
        watched_seconds=watch_until - watch_from,
        busy_seconds=sum(worker.tally.busy_seconds for worker in fleet.workers),
        batches=sum((worker.tally.batches for worker in fleet.workers), Counter()),
        area_in_system=fleet.area,
        ended_at=fleet.env.now,
    )


class _Fleet:
    """The queue with its workers; each worker's Feed."""

    def __init__(self, plant: Plant, random: Random) -> None:
        self.env = simpy.Environment()
        self.done = self.env.event()
        self.queue = SimulatedQueue(
            distilled=plant.profile.distilled, vae_cost=plant.profile.vae_cost, deadline=plant.deadline
        )
        self.queue.step_seconds = plant.profile.expected_step(1)
        self.jobs: list[SimulatedJob] = []
        self.area = 0.0
        self.workers = [
            SimulatedWorker(self.env, self, plant.profile, plant.limits, plant.timing)
            for _ in range(plant.workers)
        ]
        self._plant = plant
        self._random = random
        self._wishes: Wishes[SimulatedWorker] = Wishes(random)
        self._in_system = 0
        self._counted_at = 0.0
        self._all_sent = False

    def start(self, worker: SimulatedWorker) -> None:
        """A worker registers and begins; one day it dies, where workers do."""
        worker.alive = True
        self.queue.count_worker(1, self._plant.profile.throughput)
        life = self.env.process(worker.run())
        if self._plant.failures is not None:
            self.env.process(self._end(worker, life, self._plant.failures))

    def receive(self, requests: Sequence[Request]) -> Generator[simpy.Event, None, None]:
        """Each request at its time."""
        for request in requests:
            yield self.env.timeout(max(0.0, request.at + self._plant.timing.submit_seconds - self.env.now))
            job = self.queue.submit(request)
            if job is not None:
                self.jobs.append(job)
                self._count(1)
                self._wake()
        self._all_sent = True
        self._count(0)

    def watch(self, start: float, end: float) -> Generator[simpy.Event, None, None]:
        """Let the devices be watched from `start` to `end`."""
        yield self.env.timeout(start)
        for worker in self.workers:
            worker.watched = True
        yield self.env.timeout(end - start)
        for worker in self.workers:
            worker.watched = False

    def give_up(self, at: float) -> Generator[simpy.Event, None, None]:
        """End the run with an error where it has not ended by then."""
        yield self.env.timeout(at)
        if not self.done.triggered:
            self.done.fail(TimeoutError(f"{self._in_system} jobs have not ended after {at:.0f} s"))

    def wish(self, worker: SimulatedWorker, places: int) -> None:
        """What the worker wants; it claims at once if a job waits."""
        self._wishes.set(worker, places)
        if places and len(self.queue):
            self.queue.counts.claims += 1
            self._claim(worker)

    def deliver(self, worker: SimulatedWorker, job: SimulatedJob) -> None:  # noqa: ARG002
        """The result is visible."""
        self.queue.finish(job, self.env.now)
        self._count(-1)

    def _wake(self) -> None:
        """A job waits: every worker with a wish asks the queue; who comes first is a matter of chance."""
        self.queue.counts.claims += len(self._wishes)
        while len(self.queue) and len(self._wishes):
            self._claim(self._claimer())

    def _claimer(self) -> SimulatedWorker:
        if self._plant.claimer is Claimer.ANY:
            return self._wishes.any()
        return min(self._wishes, key=lambda worker: len(worker.leased))

    def _claim(self, worker: SimulatedWorker) -> None:
        expired = self.queue.counts.expired
        places = self._wishes.take(worker)
        jobs = self.queue.claim(places, self.env.now)
        if jobs:
            worker.begin_claim(jobs)
        else:
            self._wishes.set(worker, places)
        self._count(expired - self.queue.counts.expired)

    def _count(self, change: int) -> None:
        self.area += self._in_system * (self.env.now - self._counted_at)
        self._counted_at = self.env.now
        self._in_system += change
        if self._all_sent and self._in_system == 0 and not self.done.triggered:
            self.done.succeed()

    def _end(
        self, worker: SimulatedWorker, life: simpy.Process, failures: Failures
    ) -> Generator[simpy.Event, None, None]:
        """Kill a worker, let its leases run out, and start it again."""
        yield self.env.timeout(self._random.expovariate(1 / failures.mean_seconds))
        life.interrupt()
        worker.alive = False
        self._wishes.set(worker, 0)
        renewed = self._random.uniform(0, failures.renew_every)  # seconds ago
        for job in worker.die():
            self.env.process(self._reclaim(job, failures.lease - renewed))
        self.env.process(self._deregister(failures.lease - renewed))
        yield self.env.timeout(failures.restart_seconds)
        self.start(worker)

    def _deregister(self, seconds: float) -> Generator[simpy.Event, None, None]:
        yield self.env.timeout(seconds)
        self.queue.count_worker(-1, self._plant.profile.throughput)

    def _reclaim(self, job: SimulatedJob, seconds: float) -> Generator[simpy.Event, None, None]:
        """A lease runs out; the next live worker that looks takes the job back."""
        yield self.env.timeout(seconds)
        while not (alive := sum(worker.alive for worker in self.workers)):
            yield self.env.timeout(UPKEEP_EVERY)
        yield self.env.timeout(self._random.uniform(0, UPKEEP_EVERY / alive))
        if self.queue.reclaim(job):
            self._wake()
        else:
            self._count(-1)

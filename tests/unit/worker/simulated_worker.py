"""A worker's life in rounds of one step: jobs arrive, are claimed, decoded, join and step. No clock, no thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from service.worker.scheduler import JobView, Limits, Plan, plan


@dataclass(frozen=True)
class Request:
    """What a client asks for: `items` of `steps` each, in the queue from round `arrives` on."""

    id: str
    items: int = 1
    steps: int = 5
    weight: float = 4.0
    arrives: int = 0


@dataclass
class HeldJob:
    """A request that the worker holds, and the rounds of its life."""

    request: Request
    order: int
    claimed: int
    ready_from: int
    waiting: int
    running: list[int] = field(default_factory=list)
    waiting_since: int = 0
    joined: list[int] = field(default_factory=list)
    finished: int | None = None

    def view(self, now: int) -> JobView:
        """As the scheduler sees it in round `now`."""
        return JobView(
            id=self.request.id,
            order=self.order,
            weight=self.request.weight,
            places=self.waiting,
            ready=self.waiting if now >= self.ready_from else 0,
            running=tuple(self.running),
            waiting_since=self.waiting_since,
        )


Watch = Callable[["SimulatedWorker", list[JobView], Plan], None]


class SimulatedWorker:
    """Runs `plan` round by round. `prepare` rounds pass between a claim and the round when it could join.

    `watch` sees what was planned upon what, before it is done.
    """

    def __init__(
        self, requests: Iterable[Request], limits: Limits, *, prepare: int = 1, watch: Watch
    ) -> None:
        self.limits = limits
        self.prepare = prepare
        self.watch = watch
        self.queue = deque(sorted(requests, key=lambda request: request.arrives))
        self.held: dict[str, HeldJob] = {}
        self.finished: dict[str, HeldJob] = {}
        self.now = 0

    def run(self, rounds: int) -> None:
        """So many rounds, or fewer if all work is done."""
        for _ in range(rounds):
            if not self.queue and not self.held:
                return
            self._round()

    def run_until_finished(self, identity: str, *, at_most: int) -> int:
        """The round in which this job was finished; AssertionError if it isn't within so many rounds."""
        for _ in range(at_most):
            if identity in self.finished:
                return self.now
            self._round()
        raise AssertionError(f"{identity} is not finished after {at_most} rounds")

    @property
    def queued(self) -> bool:
        """Whether a request has arrived that nobody claimed."""
        return bool(self.queue) and self.queue[0].arrives <= self.now

    @property
    def running(self) -> int:
        """Items in the batch."""
        return sum(len(job.running) for job in self.held.values())

    def _round(self) -> None:
        views = [job.view(self.now) for job in self.held.values()]
        planned = plan(views, self.limits)
        self.watch(self, views, planned)
        for identity in planned.join:
            self._join(self.held[identity])
        self._claim(planned.claim)
        for job in list(self.held.values()):
            self._step(job)
        self.now += 1

    def _join(self, job: HeldJob) -> None:
        job.waiting -= 1
        job.joined.append(self.now)
        job.running.append(job.request.steps)

    def _claim(self, places: int) -> None:
        while places > 0 and self.queued:
            request = self.queue.popleft()
            places -= request.items
            order = len(self.held) + len(self.finished)
            ready_from = self.now + self.prepare
            self.held[request.id] = HeldJob(
                request, order, self.now, ready_from, request.items, waiting_since=self.now
            )

    def _step(self, job: HeldJob) -> None:
        if 1 in job.running:
            job.waiting_since = self.now + 1
        job.running = [left - 1 for left in job.running if left > 1]
        if not job.running and not job.waiting:
            job.finished = self.now
            self.finished[job.request.id] = self.held.pop(job.request.id)

"""A worker in a thread, with an end of the queue that can be watched and broken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from service.artifacts import FewStepSampling
from service.contracts import Job, Progress, Result, Status
from service.errors import InpaintError
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.profile import BatchProfile
from service.worker.registration import registration_of
from tests.faults.polling import POLL, until
from tests.integration.worker.gated_engine import PATIENCE, GatedEngine

CLIENT = "alice"
QUICK = BatchProfile(dict.fromkeys((1, 2, 4, 8), 0.001), encode_seconds=0.001, decode_seconds=0.001)
SLOW = BatchProfile(dict.fromkeys((1, 2, 4, 8), 10.0), encode_seconds=10.0, decode_seconds=10.0)


class WatchedConsumer(QueueConsumer):
    """The worker's end of the queue, which counts what was asked and answered.

    It raises `fault` at a result and `report_fault` at a report, if there is one.
    """

    renewals = 0
    refusals = 0
    reports = 0
    answers = 0
    fault: InpaintError | None = None
    report_fault: BaseException | None = None

    def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        owned = super().renew(claims)
        self.renewals += 1
        self.answers += 1
        return owned

    def report(self, reports: Sequence[tuple[Claim, Progress | None]]) -> set[str]:
        self.reports += 1
        if self.report_fault is not None:
            raise self.report_fault
        dropped = super().report(reports)
        self.answers += 1
        return dropped

    def finish(self, claim: Claim, result: Result) -> bool:
        if self.fault is not None:
            self.refusals += 1
            raise self.fault
        return super().finish(claim, result)


class RunningWorker:
    """The worker; `error` is what its life ended with, `hung` is set where it would end the process."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        profile: BatchProfile = QUICK,
        sampling: FewStepSampling | None = None,
    ) -> None:
        self.engine = GatedEngine(settings, sampling)
        self.consumer = WatchedConsumer(url, settings, registration_of(settings, self.engine, profile))
        self.hung = threading.Event()
        self.worker = Worker(settings, self.consumer, self.engine, profile, self.hung.set)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def held(self) -> tuple[str, ...]:
        """Ids of the jobs that it holds."""
        return self.worker.feeder.held

    def end(self, *, drain: bool) -> None:
        self.worker.stop(drain=drain)
        self.engine.gate.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error


async def until_status(client: QueueClient, job: Job, status: Status) -> None:
    """Wait until the job has this status."""
    end = monotonic() + PATIENCE
    while (await client.status(job.id, CLIENT)).status is not status:
        assert monotonic() < end, f"the job never was {status}"
        await asyncio.sleep(POLL)


async def until_reports(running: RunningWorker, count: int) -> None:
    """Wait until the worker, which holds a job, has reported `count` more times: its feeder went round as often."""
    reports = running.consumer.reports
    await until(lambda: running.consumer.reports >= reports + count)


async def step_until(running: RunningWorker, condition: Callable[[], object]) -> None:
    """Let the shut gate's steps pass one by one until `condition` holds."""
    while not condition():
        steps = running.engine.steps
        running.engine.gate.allow(1)
        await until(lambda: running.engine.steps > steps or condition())  # noqa: B023  # awaited here

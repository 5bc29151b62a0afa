"""Load for a server that is killed under it: edges that submit, and a worker by hand that finishes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

from service.contracts import Job
from service.errors import JobNotFound, QueueUnavailable
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from tests.faults.conftest import MODEL, result_of
from tests.faults.endings import ALICE

Answer = TypeVar("Answer")


@dataclass
class Submitters:
    """Edges that submit jobs until told to stop, and note which were acknowledged and which were not.

    With `waits`, each goes on when its last job has ended.
    """

    client: QueueClient
    new_job: Callable[[], Job]
    edges: int
    waits: bool = False
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    stopped: bool = False

    async def run(self) -> None:
        """Return once stopped."""
        await asyncio.gather(*(self._submit() for _ in range(self.edges)))

    async def _submit(self) -> None:
        while not self.stopped:
            job = self.new_job()
            try:
                await self.client.submit(job)
            except QueueUnavailable:
                self.refused.append(job.id)
                continue
            self.acknowledged.append(job.id)
            if self.waits:
                await self.client.wait(job.id, ALICE)
                self.ended.append(job.id)

    async def refused_but_queued(self) -> list[str]:
        """Jobs whose acknowledgement was lost; of all other refused ones nothing is known."""
        found: list[str] = []
        for job_id in self.refused:
            try:
                await self.client.status(job_id, ALICE)
            except JobNotFound:
                continue
            found.append(job_id)
        return found


class Finisher:
    """A worker by hand, in a thread: says each word until it is answered, and notes which results were taken.

    The end of the `with` block finishes what is left, but where the block failed.
    """

    def __init__(self, consumer: QueueConsumer) -> None:
        self.seeds: dict[str, int] = {}
        self._consumer = consumer
        self._stopped = False
        self._abandoned = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Finisher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped, self._abandoned = True, kind is not None
        self._thread.join()

    def _run(self) -> None:
        while True:
            last = self._stopped
            claims = self._persist(lambda: self._consumer.claim([MODEL], places=4, idle=True).claims)
            for claim in claims:
                self._finish(claim)
            if last and not claims:
                return

    def _finish(self, claim: Claim) -> None:
        assert claim.attempt == 1
        seed = len(self.seeds)
        assert self._persist(lambda: self._consumer.finish(claim, result_of(seed)))
        self.seeds[claim.job.id] = seed

    def _persist(self, say: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return say()
            except QueueUnavailable:
                if self._abandoned:
                    sys.exit()  # this thread alone

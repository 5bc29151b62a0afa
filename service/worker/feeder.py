"""The thread that does all of a worker's traffic with the queue, so that the step loop never waits for it.

It claims what the loop wishes for, holds what was claimed, tells progress, and delivers what became of jobs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from service.contracts import Failure, Progress, Result
from service.errors import Unavailable
from service.log_context import job_fields
from service.queue.consumer import Claim, QueueConsumer
from service.settings import Settings
from service.worker.attempts import Attempts
from service.worker.delivery import LOST, failing, finishing, releasing
from service.worker.events import FeederEnded, Inbox, JobLeft, JobsClaimed
from service.worker.holdings import Holdings
from service.worker.pulse import Pulse

logger = logging.getLogger(__name__)

CLAIM_POLL = 1.0  # seconds; what a lost wake message costs at most
REPORT_EVERY = 0.1  # seconds between two reports of progress; how late a cancel is seen at most
QUEUE_RETRY = 0.5  # seconds between two tries while the queue does not answer
REACHED_WITHIN = 15.0  # seconds without an answer of the queue after which a worker is not ready


@dataclass(frozen=True, slots=True)
class Wish:
    """What the loop wants claimed, once it has seen what claim number `seen` brought."""

    places: int
    idle: bool
    drain_time: float
    seen: int


NOTHING = Wish(0, idle=False, drain_time=0.0, seen=0)


class Feeder:
    """The thread. `on_claims` is called in it with new claims, once the inbox has them."""

    def __init__(
        self,
        consumer: QueueConsumer,
        settings: Settings,
        models: Sequence[str],
        pulse: Pulse,
        inbox: Inbox,
        on_claims: Callable[[Sequence[Claim]], None],
    ) -> None:
        self._consumer = consumer
        self._lease = settings.lease
        self._renew_every = settings.renew_every
        self._models = models
        self._pulse = pulse
        self._inbox = inbox
        self._on_claims = on_claims
        self._holdings = Holdings()
        self._attempts = Attempts()
        self._wish = NOTHING
        self._claims = 0
        self._jobs_wait = True
        self._stir = threading.Event()
        self._closed = False
        self._ending = False
        self._counted = False
        self._give_up = float("inf")
        self._reached_at = monotonic()
        self._claim_at = self._renew_at = self._report_at = 0.0
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    @property
    def in_touch(self) -> bool:
        """Whether the queue answered lately."""
        return monotonic() - self._reached_at <= REACHED_WITHIN

    @property
    def held(self) -> tuple[str, ...]:
        """Ids of the jobs that this worker holds, what is still to be delivered included."""
        return self._holdings.job_ids

    def start(self) -> None:
        """Begin; the worker is registered."""
        self._thread.start()

    def close(self, give_up: float) -> None:
        """Claim nothing more, and deliver nothing after `give_up` on the local clock. Takes no lock."""
        self._give_up = give_up
        self._closed = True

    def stop(self, *, counted: bool = False) -> None:
        """Give back what is held, deliver the rest, and end. `counted`: their attempt counts, it may be their
        fault.
        """
        self._counted = counted
        self._closed = self._ending = True
        self._stir.set()
        self._thread.join()

    def wake(self) -> None:
        """Say that jobs may be waiting."""
        self._jobs_wait = True
        self._stir.set()

    def wish(self, wish: Wish) -> None:
        """Say what should be claimed from now on; counts only if no claim has brought anything since `seen`."""
        grown = wish.places > self._wish.places or wish.seen != self._wish.seen
        self._wish = wish
        if grown and wish.places:
            self._stir.set()

    def note(self, job_id: str, progress: Progress) -> None:
        """Say how far a job is; the last word before the next report is told."""
        self._holdings.note(job_id, progress)

    def forget(self, job_id: str) -> None:
        """Hold a job no longer: its deadline has passed, and the queue ends it itself."""
        claim = self._holdings.let_go(job_id)
        if claim is not None:
            self._attempts.end(claim, "expired")

    def finish(self, job_id: str, result: Result) -> None:
        """Deliver a result; nothing where the job is not held any more."""
        self._holdings.settle(job_id, lambda claim: finishing(self._consumer, claim, result, self._lease))
        self._stir.set()

    def fail(self, job_id: str, failure: Failure) -> None:
        """Deliver a failure; nothing where the job is not held any more."""
        self._holdings.settle(job_id, lambda claim: failing(self._consumer, claim, failure, self._lease))
        self._stir.set()

    def _run(self) -> None:
        try:
            self._consumer.listen(self._models, self.wake)
            while not (self._ending and not self.held):
                self._stir.wait(self._pause())
                self._stir.clear()
                self._turn()
        except BaseException as error:
            logger.critical("the feeder thread has died", exc_info=error)
            self._inbox.put(FeederEnded(error))

    def _pause(self) -> float:
        if self._holdings.due() is not None:
            return 0.0
        return REPORT_EVERY if self.held else CLAIM_POLL

    def _turn(self) -> None:
        """One round of everything that is due. In an outage nothing else is tried: each try may take seconds."""
        if self._ending:
            self._holdings.settle_all(
                lambda claim: releasing(self._consumer, claim, self._lease, counted=self._counted)
            )
        try:
            self._deliver()
            self._renew()
            self._claim()
            self._report()
            self._renew()  # again, if it has become due in a call that outlasted an outage
            self._consumer.keep_up()
        except Unavailable as error:
            logger.warning("the queue does not answer or is full", extra={"error": error.detail})
            self._await_queue()
        except Exception:
            logger.exception("the feeder met a fault of ours and goes on")
            self._await_queue()
        else:
            self._reached_at = monotonic()

    def _await_queue(self) -> None:
        """Wait a little; only an orderly end is not kept waiting."""
        if not self._ending:
            time.sleep(QUEUE_RETRY)

    def _renew(self) -> None:
        """Also what is to be delivered. A device that hangs gets its jobs taken.

        When it is due it comes before the upkeep, which takes back what has run out: in an outage, our own too.
        """
        now = monotonic()
        if now < self._renew_at or not self._pulse.keeps_leases:
            return
        claims = self._holdings.claims()
        if claims:
            owned = {claim.job.id for claim in self._consumer.renew(claims)}
            self._drop({claim.job.id for claim in claims} - owned)
        self._renew_at = now + self._renew_every  # not where it failed: then it is due in the next turn

    def _deliver(self) -> None:
        """Try the first delivery that is due; one a turn, so that leases are renewed in between."""
        due = self._holdings.due()
        if due is None or not due.settled(min(due.give_up, self._give_up), QUEUE_RETRY):
            return
        self._attempts.end(due.claim, due.outcome, due.error)
        if self._holdings.delivered(due):
            self._inbox.put(JobLeft(due.job_id))

    def _claim(self) -> None:
        """Nothing for a device that hangs: its loop can't take the wish back, and would cost jobs an attempt."""
        wish = self._wish
        wanted = wish.places and wish.seen == self._claims and not self._closed and self._pulse.keeps_leases
        if not wanted or not (self._jobs_wait or monotonic() >= self._claim_at):
            return
        self._jobs_wait = False  # before the claim: a wake that comes meanwhile is for the next one
        self._claim_at = monotonic() + CLAIM_POLL
        claimed = self._consumer.claim(
            self._models, places=wish.places, idle=wish.idle, drain_time=wish.drain_time
        )
        if not claimed.claims and not claimed.drain:
            return
        self._jobs_wait = self._jobs_wait or claimed.more
        self._claims += 1
        claims = tuple(map(self._attempts.begin, claimed.claims))
        self._holdings.hold(claims)
        self._inbox.put(JobsClaimed(self._claims, claims, claimed.drain, monotonic()))
        self._on_claims(claims)

    def _report(self) -> None:
        if monotonic() < self._report_at:
            return
        self._report_at = monotonic() + REPORT_EVERY
        reports = self._holdings.reports()
        if reports:
            self._drop(self._consumer.report(reports))

    def _drop(self, lost: set[str]) -> None:
        for job_id in lost:
            claim = self._holdings.let_go(job_id)
            if claim is not None:
                logger.info("a job is no longer ours", extra=job_fields(claim.job))
                self._attempts.end(claim, LOST)
                self._inbox.put(JobLeft(job_id))

"""The step loop's turn: take what arrived, drop, decode what is done, let items join, step.

The only user of the engine; never waits for the queue or for a picture.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from time import monotonic

from service import telemetry, tracing
from service.contracts import Failure
from service.engine.inpaint import reads_image
from service.log_context import job_fields
from service.settings import Settings
from service.worker.batch import HeldJob, Item
from service.worker.device import Device
from service.worker.events import Event, FeederEnded, Inbox, JobBroken, JobLeft, JobPrepared, JobsClaimed
from service.worker.feeder import Feeder, Wish
from service.worker.pictures import PicturePool
from service.worker.profile import BatchProfile
from service.worker.scheduler import JobView, Limits, plan, surplus
from service.worker.spans import tell_denoised, tell_joins, tell_vae_call

logger = logging.getLogger(__name__)

IDLE_WAIT = 1.0  # seconds; how late a deadline is seen while no step runs
SHORTEST_DRAIN = 5.0  # seconds that a job which must run alone is kept for this worker at least
SMOOTHING = 0.2  # weight of the latest job in the mean time from a claim to a decoded picture


class FeederError(Exception):
    """Nothing reaches the queue any more; a worker without its feeder is of no use."""


class StepLoop:
    """The jobs that this worker holds, and the batch that runs. Belongs to one thread."""

    def __init__(
        self,
        settings: Settings,
        profile: BatchProfile,
        device: Device,
        pictures: PicturePool,
        feeder: Feeder,
        inbox: Inbox,
    ) -> None:
        self._batching = settings.batching
        self._profile = profile
        self._device = device
        self._pictures = pictures
        self._feeder = feeder
        self._inbox = inbox
        self._jobs: dict[str, HeldJob] = {}
        self._claims_seen = 0
        self._jobs_seen = 0
        self._steps = 0
        self._draining = False
        self._busy = True  # the first turn does not wait: it has to wish for jobs
        self._prepare_seconds = 0.0

    @property
    def holds_work(self) -> bool:
        """Whether a job is held in any stage."""
        return bool(self._jobs)

    def turn(self, *, stopping: bool) -> None:
        """One turn, with one step of the batch if anything can run; else it waits a little for news.

        Raises `DeviceError` and `FeederError`, where this process should end.
        """
        for event in self._inbox.take(0 if self._busy else IDLE_WAIT):
            self._take(event)
        self._drop_expired()
        self._decode_finished()
        self._schedule(stopping=stopping)
        self._step()
        self._device.tell_memory()
        self._busy = any(job.running or job.finished for job in self._jobs.values())

    def _take(self, event: Event) -> None:
        match event:
            case JobsClaimed():
                self._take_claims(event)
            case JobPrepared(job_id, prepared):
                job = self._jobs.get(job_id)
                if job is not None and job.prepared is None:
                    job.admit(prepared, self._steps)
                    took = monotonic() - job.claimed_at
                    self._prepare_seconds += SMOOTHING * (took - self._prepare_seconds)
            case JobBroken(job_id, failure):
                self._fail(job_id, failure)
            case JobLeft(job_id):
                self._jobs.pop(job_id, None)
            case FeederEnded(error):
                raise FeederError("The thread that talks to the queue has died.") from error

    def _take_claims(self, claimed: JobsClaimed) -> None:
        self._claims_seen = claimed.number
        self._draining = claimed.drain or any(claim.alone for claim in claimed.claims)
        for claim in claimed.claims:
            logger.info("job started", extra={**job_fields(claim.job), "attempt": claim.attempt})
            self._jobs_seen += 1
            self._jobs[claim.job.id] = HeldJob.of(claim, self._jobs_seen, claimed.at, self._steps)

    def _drop_expired(self) -> None:
        now = monotonic()
        for job_id, job in [held for held in self._jobs.items() if now >= held[1].expires_at]:
            logger.info("a job is past its deadline", extra=job_fields(job.claim.job))
            self._feeder.forget(job_id)
            del self._jobs[job_id]

    def _fail(self, job_id: str, failure: Failure) -> None:
        """The job is held until its failure is delivered: one that must run alone waits for that."""
        if job_id in self._jobs:
            self._jobs[job_id].close()
        self._feeder.fail(job_id, failure)

    def _decode_finished(self) -> None:
        items = [item for job in self._jobs.values() for item in job.finished]
        if not items:
            return
        with _stage("vae_decode", items):
            fills = self._device.decode(items)
        for item, fill in zip(items, fills, strict=True):
            if isinstance(fill, Failure):
                self._fail(item.job_id, fill)
        for item, fill in zip(items, fills, strict=True):
            if not item.job.closed and not isinstance(fill, Failure):
                candidate = item.job.take_fill(item, fill)
                if candidate is not None:
                    self._pictures.encode(item.job, item.candidate, candidate)

    def _schedule(self, *, stopping: bool) -> None:
        """Park what is over the cap, wish for claims, and let items join."""
        limits = Limits(
            places=self._device.cap,
            batching=self._batching,
            prepare_steps=self._profile.prepare_steps(self._prepare_seconds),
        )
        views = self._views()
        parked = Counter(surplus(views, limits))
        for job_id, count in parked.items():
            self._jobs[job_id].park(count, self._steps)
        if parked:
            views = self._views()
        planned = plan(views, limits, draining=self._draining, stopping=stopping)
        places = 0 if self._pictures.behind else planned.claim
        drain_time = self._drain_time(views) if places else 0.0
        self._feeder.wish(Wish(places, planned.idle, drain_time, self._claims_seen))
        if planned.join:
            self._join([self._jobs[job_id].waiting.popleft() for job_id in planned.join])

    def _views(self) -> list[JobView]:
        return [job.view for job in self._jobs.values()]

    def _drain_time(self, views: Sequence[JobView]) -> float:
        """Seconds until the batch would have run empty, by the profile."""
        longest = total = 0
        for view in views:
            steps = self._jobs[view.id].claim.job.params.steps_run
            total += sum(view.running) + view.places * steps
            longest = max(longest, *view.running, steps if view.places else 0)
        turns = max(longest, ceil(total / self._device.cap))
        return max(SHORTEST_DRAIN, turns * self._profile.expected_step(self._device.cap))

    def _join(self, items: Sequence[Item]) -> None:
        if tracing.enabled():
            running = sum(len(job.running) for job in self._jobs.values())
            tell_joins(items, self._steps, running + len(items))
        fresh = [item for item in items if item.state is None]
        for with_image in (False, True):
            self._encode(
                [i for i in fresh if reads_image(i.job.prepared_parts.table) is with_image], with_image
            )
        fresh = [item for item in fresh if not item.job.closed]
        if fresh:
            self._fail_each(fresh, self._device.begin(fresh))
        for item in items:
            if not item.job.closed:
                self._enter(item)

    def _enter(self, item: Item) -> None:
        job = item.job
        job.running.append(item)
        if job.joined_at is None:
            job.joined_at = monotonic()
            telemetry.observe_join_wait(self._steps - job.arrived_at)

    def _encode(self, items: Sequence[Item], with_image: bool) -> None:
        """VAE-encode the crops of these items that no candidate has needed before."""
        new = {(item.job_id, item.crop): item for item in items if item.crop not in item.job.encoded}
        crops = list(new.values())
        if not crops:
            return
        with _stage("vae_encode", crops):
            encoded = self._device.encode(crops, with_image=with_image)
        self._fail_each(crops, encoded)
        for item, crop in zip(crops, encoded, strict=True):
            if not item.job.closed:
                item.job.encoded[item.crop] = crop

    def _step(self) -> None:
        items = [item for job in self._jobs.values() for item in job.running]
        telemetry.set_places(len(items), self._device.cap)
        if not items:
            return
        self._fail_each(items, self._device.step(items))
        self._steps += 1
        going_on = [item for item in items if not item.job.closed]
        for item in going_on:
            item.job.advance(item, self._steps)
        for job in {item.job for item in going_on}:
            self._feeder.note(job.claim.job.id, job.progress)
            if job.batch_sizes is not None:
                job.batch_sizes.append(len(items))
                if not (job.running or job.waiting):
                    tell_denoised(job)

    def _fail_each(self, items: Sequence[Item], outcomes: Sequence[object]) -> None:
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Failure):
                self._fail(item.job_id, outcome)


@contextmanager
def _stage(name: str, items: Sequence[Item]) -> Iterator[None]:
    """Add the block's seconds to the stage of each job that has a part in it."""
    started = monotonic()
    yield
    seconds = monotonic() - started
    for job in {item.job for item in items}:
        job.add_seconds(name, seconds)
    tell_vae_call(name, items, seconds)

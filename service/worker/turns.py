"""The step loop's turn: take what arrived, drop, give the VAE what is due, let items join, step.

Never waits for the queue or for a picture; for the VAE only where it does not run beside steps.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from math import ceil
from time import monotonic

from service import telemetry, tracing
from service.contracts import Failure
from service.log_context import job_fields
from service.settings import Settings
from service.worker.batch import HeldJob, Item
from service.worker.device import POSTPONED, Device
from service.worker.events import (
    CropEncoded,
    Event,
    FeederEnded,
    Inbox,
    ItemDecoded,
    JobBroken,
    JobLeft,
    JobPrepared,
    JobRefined,
    JobsClaimed,
    VaeDropped,
    VaeEnded,
)
from service.worker.feeder import Feeder, Wish
from service.worker.live_profile import LiveProfile
from service.worker.pictures import PicturePool
from service.worker.previews import PreviewPainter
from service.worker.scheduler import JobView, Limits, plan, surplus
from service.worker.spans import tell_denoised, tell_joins
from service.worker.vae_lane import VaeLane

logger = logging.getLogger(__name__)

IDLE_WAIT = 1.0  # seconds; how late a deadline is seen while no step runs
SHORTEST_DRAIN = 5.0  # seconds that a job which must run alone is kept for this worker at least
SMOOTHING = (
    0.2  # weight of the latest in the mean time from a claim to a decoded picture, and to an encoded crop
)


class FeederError(Exception):
    """Nothing reaches the queue any more; a worker without its feeder is of no use."""


class StepLoop:
    """The jobs that this worker holds, and the batch that runs. Belongs to one thread."""

    def __init__(
        self,
        settings: Settings,
        profile: LiveProfile,
        device: Device,
        vae: VaeLane,
        pictures: PicturePool,
        previews: PreviewPainter,
        feeder: Feeder,
        inbox: Inbox,
    ) -> None:
        self._batching = settings.batching
        self._profile = profile
        self._device = device
        self._vae = vae
        self._pictures = pictures
        self._previews = previews
        self._feeder = feeder
        self._inbox = inbox
        self._jobs: dict[str, HeldJob] = {}
        self._claims_seen = 0
        self._jobs_seen = 0
        self._steps = 0
        self._draining = False
        self._busy = True  # the first turn does not wait: it has to wish for jobs
        self._prepare_seconds = 0.0
        self._encode_seconds = profile.encode_seconds

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
        self._schedule(stopping=stopping)
        stepped = self._may_step and self._step()
        self._device.tell_memory()
        self._busy = stepped or (self._may_step and any(job.running for job in self._jobs.values()))

    @property
    def _may_step(self) -> bool:
        """Where the VAE does not run beside steps, it goes first: what it has ends jobs, or lets items join."""
        return self._device.overlaps or not self._vae.busy

    def _take(self, event: Event) -> None:
        match event:
            case JobsClaimed():
                self._take_claims(event)
            case JobPrepared() | JobRefined():
                self._take_tiles(event)
            case JobBroken(job_id, failure):
                self._fail(job_id, failure)
            case JobLeft(job_id):
                self._let_go(job_id)
            case CropEncoded() | ItemDecoded() | VaeDropped():
                self._take_answer(event)
            case VaeEnded(error):
                raise error
            case FeederEnded(error):
                raise FeederError("The thread that talks to the queue has died.") from error

    def _take_tiles(self, event: JobPrepared | JobRefined) -> None:
        """A picture is decoded, or a candidate's fine tiles are cut; nothing where the job has left."""
        job = self._jobs.get(event.job_id)
        match event:
            case JobPrepared(_, prepared) if job is not None and job.prepared is None:
                job.admit(prepared, self._steps)
                took = monotonic() - job.claimed_at
                self._prepare_seconds += SMOOTHING * (took - self._prepare_seconds)
            case JobRefined(_, refined) if job is not None and not job.closed:
                job.admit_refined(refined, self._steps)

    def _take_answer(self, event: CropEncoded | ItemDecoded | VaeDropped) -> None:
        """What the VAE tells; of a job that has failed or left in the meantime nothing is kept."""
        self._vae.note_answer()
        match event:
            case CropEncoded(item) if not item.job.closed:
                self._take_encoded(item, event)
            case ItemDecoded(item) if not item.job.closed:
                self._take_decoded(item, event)

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
            self._let_go(job_id)

    def _let_go(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            job.close()

    def _fail(self, job_id: str, failure: Failure) -> None:
        """The job is held until its failure is delivered: one that must run alone waits for that."""
        if job_id in self._jobs:
            self._jobs[job_id].close()
        self._feeder.fail(job_id, failure)

    def _take_encoded(self, item: Item, event: CropEncoded) -> None:
        if event.outcome is POSTPONED:
            self._vae.encode(item)
            return
        item.job.add_seconds("vae_encode", event.seconds)
        self._encode_seconds += SMOOTHING * (event.waited - self._encode_seconds)
        if isinstance(event.outcome, Failure):
            self._fail(item.job_id, event.outcome)
        else:
            item.job.take_encoded(item.view, event.outcome)

    def _take_decoded(self, item: Item, event: ItemDecoded) -> None:
        fill = event.outcome
        if fill is POSTPONED:
            self._vae.decode(item)
            return
        item.job.add_seconds("vae_decode", event.seconds)
        if isinstance(fill, Failure):
            self._fail(item.job_id, fill)
            return
        fills = item.job.take_fill(item, fill)
        if fills is None:
            return
        if item.job.prepared_parts.retouch.refines and not item.is_fine:
            self._pictures.refine(item.job, item.candidate, fills)
        else:
            self._pictures.encode(item.job, item.candidate, fills)

    def _schedule(self, *, stopping: bool) -> None:
        """Park what is over the cap, wish for claims, give crops to the VAE, and let items join."""
        limits = self._limits()
        views = self._views()
        parked = Counter(surplus(views, limits))
        for job_id, count in parked.items():
            self._jobs[job_id].park(count, self._steps)
        if parked:
            views = self._views()
        planned = plan(views, limits, draining=self._draining, stopping=stopping, vae_busy=self._vae.busy)
        places = 0 if self._pictures.behind else planned.claim
        drain_time = self._drain_time(views) if places else 0.0
        self._feeder.wish(Wish(places, planned.idle, drain_time, self._claims_seen))
        for job_id in planned.encode:
            self._vae.encode(self._jobs[job_id].next_to_encode())
        if planned.join and self._may_step:
            self._join([self._jobs[job_id].waiting.popleft() for job_id in planned.join])

    def _limits(self) -> Limits:
        """Steps pass while a crop is encoded only where the VAE runs beside them."""
        encode_seconds = self._encode_seconds if self._device.overlaps else 0.0
        return Limits(
            places=self._device.cap,
            batching=self._batching,
            prepare_steps=self._profile.prepare_steps(self._prepare_seconds + encode_seconds),
            encode_steps=self._profile.prepare_steps(encode_seconds),
        )

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
        if fresh:
            self._fail_each(fresh, self._device.begin(fresh))
        for item in items:
            if item.state is not None and not item.job.closed:
                self._enter(item)
        for item in reversed(items):
            if item.state is None and not item.job.closed:
                item.job.put_back(item)

    def _enter(self, item: Item) -> None:
        job = item.job
        job.running.append(item)
        if job.joined_at is None:
            job.joined_at = monotonic()
            telemetry.observe_join_wait(self._steps - job.arrived_at)

    def _step(self) -> bool:
        """One step of the batch, if anything runs; False where nothing moved."""
        items = [item for job in self._jobs.values() for item in job.running]
        telemetry.set_places(len(items), self._device.cap)
        if not items:
            return False
        outcomes = self._device.step(items)
        self._fail_each(items, outcomes)
        moved = [item for item, outcome in zip(items, outcomes, strict=True) if outcome is not POSTPONED]
        if not moved:
            return False
        self._steps += 1
        going_on = [item for item in moved if not item.job.closed]
        for item in going_on:
            item.job.advance(item, self._steps)
            if item.remaining == 0:
                self._vae.decode(item)
        for job in {item.job for item in going_on}:
            self._tell_progress(job, going_on)
            if job.batch_sizes is not None:
                job.batch_sizes.append(len(items))
                if job.is_denoised:
                    tell_denoised(job)
        return True

    def _tell_progress(self, job: HeldJob, moved: Sequence[Item]) -> None:
        """Say how far a job is: at once, or with the preview of this step once that is painted."""
        shown = [item for item in moved if item.job is job and item.is_previewed]
        parts = {item.crop: colors for item in shown if (colors := self._device.preview(item)) is not None}
        if parts:
            self._previews.paint(job, parts, job.progress)
        else:
            self._feeder.note(job.claim.job.id, job.progress)

    def _fail_each(self, items: Sequence[Item], outcomes: Sequence[object]) -> None:
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Failure):
                self._fail(item.job_id, outcome)

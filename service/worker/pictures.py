"""The threads that decode and encode pictures beside the step loop, so that the device never waits for a PNG."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from service import tracing
from service.contracts import Failure, Job, Result
from service.engine.base import Array, EngineInfo, Tile
from service.engine.inpaint import refinement_table, sampling_table
from service.imaging.effective_mask import effective_mask_file
from service.imaging.retouch import finish, prepare, refine
from service.log_context import job_fields, log_fields
from service.settings import Settings
from service.worker.batch import HeldJob, Prepared, Refined
from service.worker.failures import failure_of
from service.worker.fill import noise_places

NO_PREVIEWS = (
    "No previews: {model} was exported before models had them. Export it again (moebius models export)."
)


class PicturePool:
    """`picture_threads` threads that decode, and as many that encode: what is done never holds up what is to come.
    Their news come by callbacks, called in them, those of a job with its id first;
    `on_caught_up` when the pool is no longer `behind`.
    """

    def __init__(
        self,
        settings: Settings,
        info: EngineInfo,
        *,
        on_prepared: Callable[[str, Prepared], None],
        on_refined: Callable[[str, Refined], None],
        on_result: Callable[[str, Result], None],
        on_failure: Callable[[str, Failure], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self._max_pixels = settings.max_pixels
        self._threads = settings.picture_threads
        self._info = info
        self._on_prepared = on_prepared
        self._on_refined = on_refined
        self._on_result = on_result
        self._on_failure = on_failure
        self._on_caught_up = on_caught_up
        self._decoders = ThreadPoolExecutor(settings.picture_threads, thread_name_prefix="decode")
        self._encoders = ThreadPoolExecutor(settings.picture_threads, thread_name_prefix="encode")
        self._lock = threading.Lock()
        self._encoding = 0

    @property
    def behind(self) -> bool:
        """Whether finished pictures pile up here: then more work would only pile up more memory."""
        return self._encoding > 2 * self._threads

    def prepare(self, job: Job) -> None:
        """Decode the job's picture and cut its tiles."""
        self._decoders.submit(self._guarded, job, lambda: self._prepare(job))

    def refine(self, job: HeldJob, candidate: int, fills: Sequence[Array]) -> None:
        """Cut one candidate's fine tiles from the fills [3, s, s] of its first crops."""
        self._decoders.submit(self._guarded, job.claim.job, lambda: self._refine(job, candidate, fills))

    def encode(self, job: HeldJob, candidate: int, fills: Sequence[Array]) -> None:
        """Compose and encode one candidate of the fills [3, s, s] of its crops, or of its fine tiles."""
        with self._lock:
            self._encoding += 1
        refined = job.refined.get(candidate)
        self._encoders.submit(
            self._guarded, job.claim.job, lambda: self._encode(job, candidate, fills, refined)
        )

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._decoders.shutdown(cancel_futures=True)
        self._encoders.shutdown(cancel_futures=True)

    def _guarded(self, job: Job, work: Callable[[], None]) -> None:
        with log_fields(**job_fields(job)):
            try:
                work()
            except Exception as error:
                self._on_failure(job.id, failure_of(error, job))

    def _prepare(self, job: Job) -> None:
        started = perf_counter()
        with tracing.span("decode", job=job):
            retouch = prepare(
                job.image, job.mask, job.params, model_size=self._info.image_size, max_pixels=self._max_pixels
            )
            tiles = tuple(Tile(image, mask) for image, mask in retouch.tiles)
            table = sampling_table(self._info, job.params)
            fine_table = refinement_table(self._info, job.params) if retouch.refines else None
        prepared = Prepared(retouch, tiles, table, perf_counter() - started, fine_table)
        self._on_prepared(job.id, prepared)

    def _refine(self, job: HeldJob, candidate: int, fills: Sequence[Array]) -> None:
        started = perf_counter()
        retouch, params = job.prepared_parts.retouch, job.claim.job.params
        with tracing.span("refine", job=job.claim.job, attributes={"moebius.candidate": candidate}):
            refinement = refine(retouch, np.stack(fills), params)
        tiles = tuple(Tile(crop.image, crop.mask) for crop in refinement.crops)
        refined = Refined(candidate, refinement, tiles, noise_places(refinement), perf_counter() - started)
        self._on_refined(job.claim.job.id, refined)

    def _encode(self, job: HeldJob, candidate: int, fills: Sequence[Array], refined: Refined | None) -> None:
        started = perf_counter()
        told = {"moebius.candidate": candidate}
        try:
            with tracing.span("compose", job=job.claim.job, attributes=told):
                retouch, params = job.prepared_parts.retouch, job.claim.job.params
                picture = finish(retouch, np.stack(fills), params, refined.refinement if refined else None)
        finally:
            self._count_encoded()
        if job.answer.add(candidate, picture, perf_counter() - started):
            self._on_result(job.claim.job.id, self._result_of(job))

    def _count_encoded(self) -> None:
        with self._lock:
            was_behind = self.behind
            self._encoding -= 1
            caught_up = was_behind and not self.behind
        if caught_up:
            self._on_caught_up()

    def _result_of(self, job: HeldJob) -> Result:
        pictures, params = job.answer.pictures, job.claim.job.params
        mask = effective_mask_file(job.prepared_parts.retouch) if params.effective_mask else None
        return Result(
            pictures=tuple(picture.data for picture in pictures),
            content_type=pictures[0].content_type,
            seeds=job.seeds,
            model=self._info.model,
            boxes=job.prepared_parts.retouch.boxes,
            stages=job.stages | {"encode": job.answer.seconds},
            notes=pictures[0].notes + self._notes_on_previews(job),
            effective_mask=mask,
        )

    def _notes_on_previews(self, job: HeldJob) -> tuple[str, ...]:
        if not job.claim.job.params.preview or self._info.latent_colors is not None:
            return ()
        return (NO_PREVIEWS.format(model=self._info.model),)

"""The thread that paints previews beside the step loop: one at a time, and of each job the newest alone.

A preview that comes late is dropped for the next one; its job's progress is told either way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from service.contracts import Preview, Progress
from service.engine.base import Array
from service.imaging.preview import PreviewCanvas
from service.log_context import job_fields, log_fields
from service.worker.batch import PREVIEWED_CANDIDATE, HeldJob

logger = logging.getLogger(__name__)

Colors = Callable[[], Array]  # fetches the colours [3, h, w] in [-1, 1] that a crop's latents imply


@dataclass(frozen=True, slots=True)
class _Request:
    """What a job looks like after a step: the crops that are new by number."""

    job: HeldJob
    parts: Mapping[int, Colors]
    progress: Progress


class PreviewPainter:
    """`on_progress` is called in its thread with a job's id and its progress, which has the preview."""

    def __init__(self, on_progress: Callable[[str, Progress], None]) -> None:
        self._on_progress = on_progress
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="preview")
        self._lock = threading.Lock()
        self._requests: dict[str, _Request] = {}

    def paint(self, job: HeldJob, parts: Mapping[int, Colors], progress: Progress) -> None:
        """Paint a job's new crops into its preview, and tell its progress with that. Never waits."""
        job_id = job.claim.job.id
        with self._lock:
            known = self._requests.get(job_id)
            merged = parts if known is None else {**known.parts, **parts}
            self._requests[job_id] = _Request(job, merged, progress)
        if known is None:
            self._thread.submit(self._paint_newest, job_id)

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._thread.shutdown(cancel_futures=True)

    def _paint_newest(self, job_id: str) -> None:
        with self._lock:
            request = self._requests.pop(job_id)
        with log_fields(**job_fields(request.job.claim.job)):
            progress = request.progress
            try:
                progress = replace(progress, preview=Preview(_painted(request)))
            except Exception:  # a preview is no part of the job: that goes on, and its picture is the same
                logger.exception("a preview could not be painted")
            self._on_progress(job_id, progress)


def _painted(request: _Request) -> bytes:
    job = request.job
    if job.canvas is None:
        job.canvas = PreviewCanvas(job.prepared_parts.retouch, color_match=job.claim.job.params.color_match)
    refined = job.refined.get(PREVIEWED_CANDIDATE)
    if refined is not None and not job.canvas.is_refined:
        job.canvas.refine(refined.refinement.crops)
    for crop in sorted(request.parts):
        job.canvas.paint(crop, request.parts[crop]())
    return job.canvas.encoded()

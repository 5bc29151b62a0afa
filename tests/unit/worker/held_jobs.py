"""Claims and held jobs for tests that need no queue."""

from __future__ import annotations

from typing import Any

from service.contracts import Job, Params
from service.engine.base import EngineInfo, Tile
from service.engine.inpaint import sampling_table
from service.imaging.retouch import prepare
from service.queue.consumer import Claim
from service.worker.batch import HeldJob, Prepared
from tests.integration.edge.pictures import MASK, PHOTO

INFO = EngineInfo("moebius-nano", "dummy", "cpu", "fp32", 64, "epsilon")
MAX_PIXELS = 1_000_000


def claim_of(job_id: str = "s0-1", **params: Any) -> Claim:
    """Of a small picture with one crop."""
    checked = Params.model_validate({"model": INFO.model, "seed": 7, "steps": 3, **params})
    job = Job(job_id, "alice", checked, PHOTO, MASK, deadline=0.0, places=checked.n)
    return Claim(job, token=1, attempt=1, queued_seconds=0.5, remaining=60.0, alone=False)


def prepared(claim: Claim, *, crops: int = 1) -> Prepared:
    """Its decoded picture; with more `crops`, the one again and again."""
    job = claim.job
    retouch = prepare(job.image, job.mask, job.params, model_size=INFO.image_size, max_pixels=MAX_PIXELS)
    ((image, mask),) = retouch.tiles
    table = sampling_table(INFO, job.params)
    return Prepared(retouch, (Tile(image, mask),) * crops, table, seconds=0.25)


def held_job(job_id: str = "s0-1", *, crops: int = 1, **params: Any) -> HeldJob:
    """A job whose items wait for places."""
    claim = claim_of(job_id, **params)
    job = HeldJob.of(claim, order=1, at=100.0, step=5)
    job.admit(prepared(claim, crops=crops), step=6)
    return job

"""Admission of requests for a few-step model: stored with its own numbers, promised by its own cost."""

from __future__ import annotations

import httpx
import pytest

from service.contracts import Params
from service.queue.fairness import cost_of
from service.settings import Settings
from tests.integration.edge.live_edge import FEW_STEP, SERVED, FlatWorker, running_edge
from tests.integration.edge.requests import FILES, submitted

ORDINARY_JOB = cost_of(Params(steps=20, guidance_scale=2.0), places=1)


@pytest.mark.parametrize(("model", "numbers"), [(FEW_STEP.name, (4, 2.5)), (SERVED.name, (20, 2.0))])
def test_a_stored_job_has_the_numbers_that_were_left_out(
    queue_url: str, model: str, numbers: tuple[int, float]
) -> None:
    settings = Settings()
    with (
        FlatWorker(queue_url, settings, models=(SERVED, FEW_STEP)) as worker,
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url) as client,
    ):
        client.post("/v1/inpaint", files=FILES, data={"model": model}).raise_for_status()
        (claim,) = worker.claims
    assert (claim.job.params.steps, claim.job.params.guidance_scale) == numbers


def test_a_few_step_job_is_promised_where_an_ordinary_one_would_be_late(queue_url: str) -> None:
    """The worker says that it needs 100 seconds for an ordinary job: 42 evaluations, against 6."""
    settings = Settings()
    with (
        FlatWorker(queue_url, settings, ORDINARY_JOB / 100, (SERVED, FEW_STEP)) as worker,
        worker.held(),
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url) as client,
    ):
        late = client.post("/v1/jobs", files=FILES, data={"timeout": "20"})
        assert (late.status_code, late.json()["code"]) == (429, "deadline_unreachable")
        submitted(client, model=FEW_STEP.name, timeout="20")
        hurried = client.post("/v1/jobs", files=FILES, data={"model": FEW_STEP.name, "timeout": "10"})
        assert "it takes about 14.3 s itself" in hurried.json()["detail"]

"""Admission by what a model's workers measure of encoding and decoding; by a usual number where none tells it."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from service.contracts import ServedModel
from service.queue.fairness import VAE_COST
from service.settings import Settings
from tests.integration.edge.live_edge import SERVED, FlatWorker, running_edge
from tests.integration.edge.requests import FILES

EVALUATIONS = 40  # 20 guided steps
SECONDS = 100.0  # of an evaluation, so that the job is refused and its seconds are told


@pytest.mark.parametrize(
    ("model", "evaluations"),
    [(replace(SERVED, vae_cost=11.4), EVALUATIONS + 11.4), (SERVED, EVALUATIONS + VAE_COST)],
)
def test_a_job_is_promised_by_what_its_models_workers_tell(
    queue_url: str, model: ServedModel, evaluations: float
) -> None:
    settings = Settings()
    with (
        FlatWorker(queue_url, settings, throughput=1 / SECONDS, models=(model,)) as worker,
        worker.held(),
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url) as client,
    ):
        refused = client.post("/v1/jobs", files=FILES, data={"timeout": "20"})
        assert f"it takes about {evaluations * SECONDS:.1f} s itself" in refused.json()["detail"]

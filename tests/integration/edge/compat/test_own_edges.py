"""The drop-in interfaces of edges of their own: with other models, with none, and with too much to do."""

from __future__ import annotations

import httpx
import openai
import pytest

from service.contracts import ServedModel
from service.settings import Settings
from tests.integration.edge.compat.conftest import openai_client_of
from tests.integration.edge.compat.test_iopaint import PICTURES, ROUTE
from tests.integration.edge.compat.test_openai import ALPHA_MASK, PROMPT, edited, named
from tests.integration.edge.live_edge import FEW_STEP, SERVED, FlatWorker, running_edge
from tests.integration.edge.pictures import MASK, PHOTO


def test_a_model_of_ours_is_chosen_by_its_name(queue_url: str) -> None:
    settings = Settings()
    models: tuple[ServedModel, ...] = (SERVED, FEW_STEP)
    with (
        FlatWorker(queue_url, settings, models=models),
        running_edge(queue_url, settings) as url,
        openai_client_of(url) as client,
    ):
        raw = client.images.with_raw_response.edit(
            image=named(PHOTO), mask=named(ALPHA_MASK), prompt=PROMPT, model=FEW_STEP.name
        )
    assert raw.headers["x-model"] == FEW_STEP.name
    assert raw.headers["x-ignored-fields"] == "prompt"


def test_overload_is_a_rate_limit_that_says_when_to_come_back(queue_url: str) -> None:
    settings = Settings(max_queued_jobs=1, max_client_share=1)
    with (
        FlatWorker(queue_url, settings) as worker,
        worker.held(),
        running_edge(queue_url, settings) as url,
        openai_client_of(url) as client,
    ):
        httpx.post(f"{url}/v1/jobs", files={"image": ("p", PHOTO), "mask": ("m", MASK)}).raise_for_status()
        with pytest.raises(openai.RateLimitError) as refused:
            edited(client)
        of_iopaint = httpx.post(f"{url}{ROUTE}", json=PICTURES)
    assert (of_iopaint.status_code, of_iopaint.json()["error"]) == (429, "queue_full")
    assert int(of_iopaint.headers["retry-after"]) >= 1
    assert int(refused.value.response.headers["retry-after"]) >= 1
    assert (refused.value.code, refused.value.type) == ("queue_full", "rate_limit_error")


def test_no_worker_is_an_error_of_the_servers_side(queue_url: str) -> None:
    with (
        running_edge(queue_url, Settings()) as url,
        openai_client_of(url) as client,
        pytest.raises(openai.InternalServerError) as refused,
    ):
        edited(client)
    assert (refused.value.status_code, refused.value.code) == (503, "not_ready")


def test_a_few_step_model_takes_no_numbers_and_says_so(queue_url: str) -> None:
    settings = Settings(model=FEW_STEP.name)
    with (
        FlatWorker(queue_url, settings, models=(FEW_STEP,)) as worker,
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        sent = PICTURES | {"sd_steps": 30, "sd_guidance_scale": 3.5, "sd_sampler": "DPM++ 2M"}
        answer = client.post(ROUTE, json=sent)
        params = worker.claims[-1].job.params
    assert answer.headers["x-ignored-fields"] == "sd_steps, sd_guidance_scale, sd_sampler"
    assert (params.steps, params.guidance_scale) == (4, 2.5)

"""A model whose workers were all stopped for want of work: its edges take jobs, which wait for a new worker."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from service.settings import Settings
from tests.integration.edge.live_edge import SERVED, FlatWorker, running_edge, until
from tests.integration.edge.requests import FILES, status_of, submitted

JOBS = "/v1/jobs"


@pytest.fixture(scope="module")
def dozing(empty_queue_url: str, settings: Settings) -> Iterator[httpx.Client]:
    """A client of an edge whose only model has no worker any more."""
    with FlatWorker(empty_queue_url, settings):
        pass
    sleeping = settings.model_copy(update={"sleeping_models": SERVED.name})
    with running_edge(empty_queue_url, sleeping) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_an_edge_is_ready_while_its_model_sleeps(dozing: httpx.Client) -> None:
    assert dozing.get("/readyz").json() == {"status": "ready", "models": [SERVED.name]}


def test_a_job_for_a_sleeping_model_waits_is_told_in_the_metrics_and_ends_when_a_worker_is_started(
    dozing: httpx.Client, empty_queue_url: str, settings: Settings
) -> None:
    job = submitted(dozing)["id"]
    assert status_of(dozing, job) == "queued"
    cost = f'inpaint_queue_ready_cost{{model="{SERVED.name}",priority="interactive"}}'
    (line,) = (line for line in dozing.get("/metrics").text.splitlines() if line.startswith(cost))
    assert float(line.split()[-1]) > 0
    with FlatWorker(empty_queue_url, settings):
        until(lambda: status_of(dozing, job) == "succeeded")
    assert dozing.get(f"{JOBS}/{job}/result").status_code == 200


def test_without_leave_to_sleep_a_model_without_worker_is_refused(
    dozing: httpx.Client, empty_queue_url: str, settings: Settings
) -> None:
    with running_edge(empty_queue_url, settings) as url, httpx.Client(base_url=url) as client:
        assert client.get("/readyz").status_code == 503
        assert client.post(JOBS, files=FILES).json()["code"] == "not_ready"

"""More work than there is room or time for: 429, with when to come back."""

from __future__ import annotations

import httpx
import pytest

from service.contracts import Params
from service.queue.fairness import cost_of
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, running_edge
from tests.integration.edge.requests import FILES, submitted

ROUTES = ("/v1/inpaint", "/v1/jobs")


def refusal(answer: httpx.Response) -> str:
    """The code of an answer that says when to try again."""
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["retryable"] is True
    code: str = answer.json()["code"]
    return code


@pytest.mark.parametrize("route", ROUTES)
def test_a_full_queue_takes_no_more(queue_url: str, route: str) -> None:
    settings = Settings(max_queued_jobs=2)
    with (
        FlatWorker(queue_url, settings) as worker,
        worker.held(),
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url) as client,
    ):
        first, _ = submitted(client), submitted(client)
        assert refusal(client.post(route, files=FILES)) == "queue_full"
        assert 'inpaint_rejected_total{reason="queue_full"}' in client.get("/metrics").text
        client.delete(first["links"]["self"])
        submitted(client)


@pytest.mark.parametrize("route", ROUTES)
def test_a_job_that_could_not_end_in_time_is_refused_at_once(queue_url: str, route: str) -> None:
    """The worker says that it needs 100 seconds for one job."""
    settings = Settings()
    with (
        FlatWorker(queue_url, settings, throughput=cost_of(Params(), places=1) / 100) as worker,
        worker.held(),
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url) as client,
    ):
        refused = client.post(route, files=FILES, data={"timeout": "20"})
        assert refusal(refused) == "deadline_unreachable"
        assert "timeout" in refused.json()["detail"]
        submitted(client, timeout="600")
        assert refusal(client.post(route, files=FILES, data={"timeout": "120"})) == "deadline_unreachable"

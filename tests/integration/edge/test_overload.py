"""More work than there is room or time for: 429, with when to come back."""

from __future__ import annotations

import asyncio
import socket

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
    settings = Settings(max_queued_jobs=2, max_client_share=1)
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
        FlatWorker(
            queue_url, settings, throughput=cost_of(Params(steps=20, guidance_scale=2.0), places=1) / 100
        ) as worker,
        worker.held(),
        running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url) as client,
    ):
        refused = client.post(route, files=FILES, data={"timeout": "20"})
        assert refusal(refused) == "deadline_unreachable"
        assert "timeout" in refused.json()["detail"]
        submitted(client, timeout="600")
        assert refusal(client.post(route, files=FILES, data={"timeout": "120"})) == "deadline_unreachable"


async def test_more_clients_at_once_than_connections_to_the_queue_are_all_answered(
    queue_url: str,
) -> None:
    """Each waits a moment for a connection: many clients are no outage."""
    many = 300
    with running_edge(queue_url, Settings()) as url:
        unlimited = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=unlimited) as client:
            await asyncio.gather(*(client.get("/livez") for _ in range(many)))
            answers = await asyncio.gather(*(client.get("/v1/jobs/s0-" + "0" * 32) for _ in range(many)))
    assert {answer.json()["code"] for answer in answers} == {"job_not_found"}


def test_an_upload_that_stalls_is_given_up(queue_url: str) -> None:
    """Its beginning would be held in memory for as long as the client likes."""
    head = (
        b"POST /v1/inpaint HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        b"Content-Type: application/json\r\n\r\n{"
    )
    with running_edge(queue_url, Settings(upload_patience=0.2)) as url:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 0), timeout=60) as connection:
            connection.sendall(head)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload_stalled" in answer

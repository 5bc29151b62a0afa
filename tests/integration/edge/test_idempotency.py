"""Idempotency-Key: the same request sent twice is one job, also after its client was cut off."""

from __future__ import annotations

from itertools import count
from uuid import uuid4

import httpx
import pytest

from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.requests import FILES, status_of

ROUTES = ("/v1/inpaint", "/v1/jobs")


def fresh_key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def test_a_waiting_request_sent_twice_is_one_job_with_one_answer(
    client: httpx.Client, worker: FlatWorker
) -> None:
    key, known = fresh_key(), len(worker.claims)
    first, second = (client.post("/v1/inpaint", files=FILES, headers=key) for _ in range(2))
    assert first.headers["x-job-id"] == second.headers["x-job-id"]
    assert first.headers["x-seed"] == second.headers["x-seed"]  # drawn once
    assert first.content == second.content
    assert len(worker.claims) == known + 1


def test_a_job_submitted_twice_is_one_job(client: httpx.Client) -> None:
    key = fresh_key()
    first, second = (client.post("/v1/jobs", files=FILES, headers=key) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == second.headers["location"]
    assert (first.status_code, second.status_code) == (202, 202)


def test_without_a_key_each_request_is_a_job(client: httpx.Client) -> None:
    first, second = (client.post("/v1/jobs", files=FILES).json()["id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("route", ROUTES)
def test_a_key_that_was_used_for_another_request_is_refused(client: httpx.Client, route: str) -> None:
    key = fresh_key()
    assert client.post(route, files=FILES, headers=key).is_success
    swapped = {"image": FILES["mask"], "mask": FILES["mask"]}
    for answer in (
        client.post(route, files=FILES, data={"steps": "9"}, headers=key),
        client.post(route, files=swapped, headers=key),
    ):
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency_conflict"


def test_the_time_that_a_client_allows_makes_no_other_request(client: httpx.Client) -> None:
    key, seconds = fresh_key(), count(50)
    answers = [
        client.post("/v1/jobs", files=FILES, data={"timeout": str(next(seconds))}, headers=key)
        for _ in range(2)
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_keyed_request_goes_on_after_its_client_and_the_same_key_gets_its_answer(
    client: httpx.Client, worker: FlatWorker
) -> None:
    key = fresh_key()
    with worker.held():
        known = len(worker.claims)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/inpaint", files=FILES, headers=key, timeout=httpx.Timeout(20, read=0.5))
        until(lambda: len(worker.claims) > known)
        job_id = worker.claims[known].job.id
        route_gone = 'inpaint_http_requests_total{code="499",method="POST",route="/v1/inpaint"}'
        until(lambda: route_gone in client.get("/metrics").text)
        assert status_of(client, job_id) == "running"
    answer = client.post("/v1/inpaint", files=FILES, headers=key)
    assert answer.status_code == 200
    assert answer.headers["x-job-id"] == job_id
    assert job_id not in worker.dropped


@pytest.mark.parametrize("key", ["", "two words", "a" * 256, "schl\u00fcssel".encode("latin-1")])
@pytest.mark.parametrize("route", ROUTES)
def test_what_is_no_key_is_refused(client: httpx.Client, route: str, key: str | bytes) -> None:
    headers = [(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())]
    answer = client.post(route, files=FILES, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_parameter"
    assert "Idempotency-Key must be 1 to 255 visible" in answer.json()["detail"]


def test_two_keys_at_once_are_refused(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/jobs", files=FILES, headers=[("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    )
    assert answer.json()["code"] == "invalid_parameter"

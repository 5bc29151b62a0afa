"""/v1/jobs as clients use it: submit, look, fetch, cancel."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from service.contracts import Progress
from service.errors import ERROR_TABLE
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import JPEG, PHOTO, SIZE, decode, encode, mask, photo
from tests.integration.edge.requests import AS_JSON, FILES, status_of, submitted

UNKNOWN = "s0-" + "0" * 32


def problem_of(answer: httpx.Response, code: str) -> str:
    """The words of a refusal, which is one with `code`."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.status_code) == (code, ERROR_TABLE[code].http_status), answer.text
    detail: str = answer.json()["detail"]
    return detail


def test_a_job_is_accepted_with_its_document_and_its_place(client: httpx.Client) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    answer = client.post("/v1/jobs", files=FILES)
    assert answer.status_code == 202
    job = answer.json()
    path = f"/v1/jobs/{job['id']}"
    assert answer.headers["location"] == path
    assert job["links"] == {"self": path, "result": f"{path}/result", "events": f"{path}/events"}
    assert job["model"] == "moebius-nano"
    assert job["failure"] is None
    created, deadline = (datetime.fromisoformat(job[name]) for name in ("created", "deadline"))
    assert before < created < datetime.now(UTC) + timedelta(seconds=5)
    assert timedelta(seconds=3590) < deadline - created < timedelta(seconds=3610)


def test_a_job_tells_how_far_it_is(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        first, second = submitted(client), submitted(client)
        until(lambda: status_of(client, first["id"]) == "running")
        waiting = client.get(second["links"]["self"]).json()
        assert (waiting["status"], waiting["attempt"], waiting["position"]) == ("queued", 0, 0)
        worker.progress = Progress(step=3, steps=20)
        until(lambda: client.get(first["links"]["self"]).json()["step"] == 3)
        running = client.get(first["links"]["self"]).json()
        assert (running["steps"], running["attempt"], running["position"]) == (20, 1, None)
    until(lambda: status_of(client, second["id"]) == "succeeded")


def test_the_result_is_the_answer_that_waiting_would_have_got(client: httpx.Client) -> None:
    waited = client.post("/v1/inpaint", files=FILES, data={"seed": "7"})
    job = submitted(client, seed="7")
    until(lambda: status_of(client, job["id"]) == "succeeded")
    answer = client.get(job["links"]["result"])
    assert answer.status_code == 200
    assert answer.content == waited.content
    assert answer.headers["x-job-id"] == job["id"]
    for name in ("content-type", "x-seed", "x-model", "x-boxes"):
        assert answer.headers[name] == waited.headers[name]
    document = client.get(job["links"]["result"], headers=AS_JSON).json()
    assert document["job_id"] == job["id"]
    assert document["pictures"][0]["seed"] == 7


def test_a_result_has_the_format_that_the_job_was_sent_with(client: httpx.Client) -> None:
    job = submitted(client, output_format="webp")
    until(lambda: status_of(client, job["id"]) == "succeeded")
    assert client.get(job["links"]["result"]).headers["content-type"] == "image/webp"
    refused = client.get(job["links"]["result"], headers={"Accept": "image/png"})
    assert "image/webp" in problem_of(refused, "not_acceptable")


def test_candidates_are_fetched_together_or_one_by_one(client: httpx.Client) -> None:
    job = submitted(client, n="3", seed="10")
    until(lambda: status_of(client, job["id"]) == "succeeded")
    result = job["links"]["result"]
    pictures = client.get(result, headers=AS_JSON).json()["pictures"]
    assert [picture["seed"] for picture in pictures] == [10, 11, 12]
    second = client.get(result, params={"candidate": 1})
    assert second.headers["x-seed"] == "11"
    assert second.content == b64decode(pictures[1]["data"])
    assert len({picture["data"] for picture in pictures}) == 3
    assert decode(second.content).size == SIZE
    assert "candidate=0" in problem_of(client.get(result), "not_acceptable")
    assert "has 3" in problem_of(client.get(result, params={"candidate": 3}), "invalid_parameter")
    for nonsense in ("-1", "first"):
        refused = client.get(result, params={"candidate": nonsense})
        assert "candidate" in problem_of(refused, "invalid_parameter")


def test_a_result_that_is_asked_for_too_early_comes_later(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = submitted(client)
        answer = client.get(job["links"]["result"])
        problem_of(answer, "job_not_finished")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["retryable"] is True


def test_a_cancelled_job_is_dropped_and_to_cancel_it_again_is_harmless(
    client: httpx.Client, worker: FlatWorker
) -> None:
    with worker.held():
        running, waiting = submitted(client), submitted(client)
        until(lambda: status_of(client, running["id"]) == "running")
        for job in (waiting, running, running):
            answer = client.delete(job["links"]["self"])
            assert answer.status_code == 200
            assert answer.json()["status"] == "cancelled"
            assert answer.json()["failure"]["code"] == "job_cancelled"
        until(lambda: running["id"] in worker.dropped)
    problem_of(client.get(running["links"]["result"]), "job_cancelled")


def test_a_job_that_has_ended_can_not_be_cancelled_any_more(client: httpx.Client) -> None:
    job = submitted(client)
    until(lambda: status_of(client, job["id"]) == "succeeded")
    assert client.delete(job["links"]["self"]).json()["status"] == "succeeded"
    assert client.get(job["links"]["result"]).status_code == 200


def test_a_job_whose_deadline_passes_says_so(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = submitted(client, timeout="0.3")
        until(lambda: status_of(client, job["id"]) == "expired")
    problem_of(client.get(job["links"]["result"]), "job_expired")
    assert client.get(job["links"]["self"]).json()["failure"]["status"] == 504


@pytest.mark.parametrize(
    "job_id", [UNKNOWN, "nonsense", "s9999-" + "0" * 32, "s0-" + "0" * 5000, "%00", "..%2f.."]
)
@pytest.mark.parametrize(
    ("method", "suffix"), [("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/events")]
)
def test_an_unknown_job_is_not_found(client: httpx.Client, job_id: str, method: str, suffix: str) -> None:
    answer = client.request(method, f"/v1/jobs/{job_id}{suffix}")
    assert answer.status_code == 404
    assert answer.json()["code"] in ("job_not_found", "unknown_route")
    assert len(answer.content) < 1000


def test_what_is_wrong_with_a_job_is_told_before_it_is_queued(client: httpx.Client) -> None:
    refused = client.post("/v1/jobs", files=FILES, data={"steps": "0"})
    assert "from 1 to 100" in problem_of(refused, "invalid_parameter")
    problem_of(client.post("/v1/jobs", files={"image": FILES["image"]}), "missing_part")


def test_inpaint_answers_with_a_job_if_the_client_prefers_not_to_wait(
    client: httpx.Client, worker: FlatWorker
) -> None:
    headers = {"Prefer": "respond-async, wait=10", "Accept": "image/webp"}
    with worker.held():
        answer = client.post("/v1/inpaint", files=FILES, data={"n": "2"}, headers=headers)
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"]
    until(lambda: status_of(client, job["id"]) == "succeeded")
    assert client.get(job["links"]["result"], params={"candidate": 0}).headers["content-type"] == "image/webp"


def test_inpaint_waits_if_the_client_prefers_something_else(client: httpx.Client) -> None:
    answer = client.post("/v1/inpaint", files=FILES, headers={"Prefer": "return=minimal"})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


def test_a_job_goes_on_without_its_client(client: httpx.Client, worker: FlatWorker) -> None:
    with httpx.Client(base_url=client.base_url) as another, worker.held():
        job = submitted(another)
    until(lambda: status_of(client, job["id"]) == "succeeded")


def test_a_job_says_how_many_places_it_takes(client: httpx.Client, worker: FlatWorker) -> None:
    far_apart = mask((900, 100))
    far_apart.paste(255, (820, 40, 850, 60))
    pictures = {"image": ("p.png", encode(photo(size=(900, 100)))), "mask": ("m.png", encode(far_apart))}
    boxes = client.post("/v1/inpaint", files=pictures, headers=AS_JSON).json()["boxes"]
    assert worker.claims[-1].job.places == len(boxes) > 1
    client.post("/v1/inpaint", files=pictures, data={"n": "3"}, headers=AS_JSON).raise_for_status()
    assert worker.claims[-1].job.places == 3 * len(boxes)


def test_both_ways_are_timed(client: httpx.Client) -> None:
    submitted(client)
    client.post("/v1/inpaint", files=FILES)
    page = client.get("/metrics").text
    for mode in ("sync", "async"):
        assert f'inpaint_request_duration_seconds_count{{mode="{mode}",transport="rest"}}' in page


@pytest.mark.parametrize("data", [PHOTO, JPEG], ids=["PNG", "JPEG"])
def test_what_a_worker_gets_is_what_was_sent(client: httpx.Client, worker: FlatWorker, data: bytes) -> None:
    answer = client.post("/v1/jobs", files={**FILES, "image": ("photo", data)})
    until(lambda: status_of(client, answer.json()["id"]) == "succeeded")
    claimed = next(claim.job for claim in worker.claims if claim.job.id == answer.json()["id"])
    assert claimed.image == data
    assert claimed.client == "address:127.0.0.1"

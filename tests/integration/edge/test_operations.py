"""What operators and programs ask an edge: health, models, metrics and the description."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import telemetry
from service.contracts import Params, WorkerRegistration
from service.errors import ERROR_TABLE
from service.imaging.formats import FORMATS
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.fairness import cost_of
from service.settings import Settings
from tests.integration.edge.live_edge import SERVED, FlatWorker, running_edge, until
from tests.integration.edge.requests import FILES, submitted
from tests.queue_server import QueueServer

ROUTE = "/v1/inpaint"


def test_an_edge_with_queue_and_worker_is_alive_and_ready(client: httpx.Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "models": ["moebius-nano"]}


def test_the_models_are_those_that_workers_have_loaded(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert model["name"] == "moebius-nano"
    assert model["image_size"] == 64
    assert model["backend"] == "dummy"


def test_a_fault_of_ours_is_a_problem_and_not_a_stack_trace(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: QueueClient) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(QueueClient, "models", broken)
    answer = client.get("/v1/models")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal"
    assert "secret" not in answer.text
    assert "the secret of the house" in caplog.text
    monkeypatch.undo()
    assert client.get("/v1/models").status_code == 200


def test_metrics_are_labelled_by_route_and_never_by_path(client: httpx.Client) -> None:
    client.post(ROUTE, files=FILES)
    client.get("/some/secret/path")
    client.request("BREW", "/livez")
    page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    samples = [sample for family in text_string_to_metric_families(page.text) for sample in family.samples]
    requests = [sample.labels for sample in samples if sample.name == "inpaint_http_requests_total"]
    assert {"route": ROUTE, "method": "POST", "code": "200"} in requests
    assert {"route": "unmatched", "method": "GET", "code": "404"} in requests
    assert {"route": "/livez", "method": "other", "code": "405"} in requests
    assert "secret" not in page.text
    durations = {
        sample.labels["le"]
        for sample in samples
        if sample.name == "inpaint_request_duration_seconds_bucket"
        and sample.labels["transport"] == "rest"
        and sample.labels["mode"] == "sync"
    }
    assert {"0.05", "0.35", "13.0", "120.0", "+Inf"} <= durations


def test_metrics_tell_what_the_queue_holds_now(client: httpx.Client, worker: FlatWorker) -> None:
    def depth(state: str, priority: str) -> float:
        samples = {
            (sample.name, sample.labels.get("state"), sample.labels.get("priority")): sample.value
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
        }
        return samples["inpaint_queue_jobs", state, priority]

    with worker.held():
        jobs = [submitted(client, priority="batch") for _ in range(3)]
        until(lambda: (depth("running", "batch"), depth("waiting", "batch")) == (1, 2))
        assert (depth("running", "interactive"), depth("waiting", "interactive")) == (0, 0)
        assert 'inpaint_oldest_job_age_seconds{priority="batch"}' in client.get("/metrics").text
        for job in jobs:
            client.delete(job["links"]["self"])
        assert (depth("running", "batch"), depth("waiting", "batch")) == (0, 0)


def test_metrics_tell_the_cost_of_what_waits_the_workers_and_the_memory(
    client: httpx.Client, worker: FlatWorker
) -> None:
    def told() -> dict[tuple[str, ...], float]:
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
        }

    with worker.held():
        jobs = [submitted(client, priority="batch", steps=10, guidance_scale=1) for _ in range(3)]
        cost = cost_of(Params(steps=10, guidance_scale=1), places=1)
        until(lambda: told()["inpaint_queue_ready_cost", "moebius-nano", "batch"] == 2 * cost)
        page = told()
        for job in jobs:
            client.delete(job["links"]["self"])
    assert page["inpaint_queue_ready_cost", "moebius-nano", "interactive"] == 0
    assert page["inpaint_workers", "moebius-nano"] == 1
    assert page["inpaint_worker_capacity", "moebius-nano"] == 0, "this worker has measured nothing"
    assert page["inpaint_redis_memory_bytes", "used"] > 0


QUEUE_METRICS = (
    *("inpaint_queue_jobs", "inpaint_oldest_job_age_seconds", "inpaint_queue_ready_cost"),
    *("inpaint_workers", "inpaint_redis_memory_bytes"),
)


@pytest.mark.parametrize("durable_server", ["valkey"], indirect=True)
@pytest.mark.parametrize("fault", ["dead", "deaf"])
def test_metrics_tell_nothing_of_a_queue_that_is_away_and_all_else(
    durable_server: QueueServer, settings: Settings, fault: str
) -> None:
    """A last value would look like a queue at rest."""
    registration = WorkerRegistration("by-hand", (SERVED,), places=1)
    with (
        closing(QueueConsumer(durable_server.url, settings, registration)) as consumer,
        running_edge(durable_server.url, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        consumer.register()
        assert all(f"{name}{{" in client.get("/metrics").text for name in QUEUE_METRICS)
        before = errors_of_load()
        with away(durable_server, fault):
            page = client.get("/metrics").text
            assert not any(name in page for name in QUEUE_METRICS)
            assert errors_of_load() == before + 1
            assert "inpaint_http_requests_total{" in page
        until(lambda: all(f"{name}{{" in client.get("/metrics").text for name in QUEUE_METRICS))


def errors_of_load() -> float:
    return telemetry.REGISTRY.get_sample_value("inpaint_redis_errors_total", {"op": "load"}) or 0.0


@contextmanager
def away(server: QueueServer, fault: str) -> Iterator[None]:
    """The server has ended, or hears nothing, within the block."""
    if fault == "deaf":
        os.kill(server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)
    else:
        server.kill()
        yield
        server.start()


def test_the_description_tells_the_routes_of_jobs(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    routes = {(method, path) for path, operations in paths.items() for method in operations if "jobs" in path}
    assert routes == {
        ("post", "/v1/jobs"),
        ("get", "/v1/jobs/{job_id}"),
        ("delete", "/v1/jobs/{job_id}"),
        ("get", "/v1/jobs/{job_id}/result"),
        ("get", "/v1/jobs/{job_id}/events"),
        ("get", "/v1/jobs/{job_id}/mask"),
    }
    assert "202" in paths["/v1/jobs"]["post"]["responses"]
    assert {"202", "200"} <= set(paths[ROUTE]["post"]["responses"])
    assert "text/event-stream" in paths["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]
    for path, operations in paths.items():
        for operation in operations.values():
            statuses = set(operation["responses"])
            assert ("401" in statuses) == path.startswith(("/v1/", "/api/v1/"))
            assert all("HTTPValidationError" not in str(answer) for answer in operation["responses"].values())
    headers = {parameter["name"] for parameter in paths[ROUTE]["post"]["parameters"]}
    assert headers == {"Idempotency-Key", "Prefer"}


def test_the_description_names_every_field_with_words(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    bodies = document["paths"][ROUTE]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", "application/json"}
    post = document["paths"][ROUTE]["post"]
    assert "30 MiB" in post["requestBody"]["description"]
    assert {"X-Job-Id", "X-Seed", "X-Model", "X-Boxes"} <= set(post["responses"]["200"]["headers"])
    for body in bodies.values():
        schema = schemas[body["schema"]["$ref"].rpartition("/")[2]]
        assert set(schema["properties"]) == {"image", "mask", *Params.model_fields}
        assert set(schema["required"]) == {"image", "mask"}
        assert schema["additionalProperties"] is False
        assert all(name in schema["properties"]["image"]["description"].upper() for name in FORMATS)
        assert all("description" in field for field in schema["properties"].values())


def test_the_description_refers_to_nothing_that_is_not_there(client: httpx.Client) -> None:
    text = client.get("/openapi.json").text
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in schemas


def test_the_docs_need_no_network_and_explain_every_problem(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r'(src|href)="(https?:)?//', page.text)
    assert "<script" not in page.text
    for code in ERROR_TABLE:
        assert f'id="{code}"' in page.text
    for name in (*Params.model_fields, "Idempotency-Key", "Last-Event-ID", "Prefer", "candidate"):
        assert f"<td>{name}<" in page.text
    for route in ("POST /v1/jobs", "GET /v1/jobs/{job_id}/events", "DELETE /v1/jobs/{job_id}"):
        assert f"<td>{route}<" in page.text

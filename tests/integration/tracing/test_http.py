"""A request over HTTP is one trace, from its caller's context to the worker's last stage, and back in the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from opentelemetry.trace import SpanKind, StatusCode

from tests.integration.edge.live_edge import until
from tests.integration.edge.pictures import PHOTO
from tests.integration.edge.requests import AS_JSON, FILES, submitted, watching
from tests.integration.tracing.kept_spans import (
    CALLER,
    CALLER_SPAN,
    CALLER_TRACE,
    KeptSpans,
    id_of,
    parent_of,
    seconds_of,
    state_of,
    told,
    trace_of,
)
from tests.integration.worker.running_worker import RunningWorker

StartWorker = Callable[..., RunningWorker]
MALFORMED = (
    "",
    "nonsense",
    f"00-{CALLER_TRACE}-{CALLER_SPAN}",
    f"00-{'0' * 32}-{CALLER_SPAN}-01",
    f"00-{CALLER_TRACE}-{'0' * 16}-01",
    f"00-{CALLER_TRACE.upper()}-{CALLER_SPAN}-01",
    f"ff-{CALLER_TRACE}-{CALLER_SPAN}-01",
    f"00-{CALLER_TRACE}-{CALLER_SPAN}-01-more",
    "00-" + "4" * 60_000,
)
STAGES = {"decode", "vae encode", "batch join", "denoise", "vae decode", "compose"}


def inpaint(client: httpx.Client, headers: dict[str, str] | None = None, **fields: object) -> httpx.Response:
    return client.post("/v1/inpaint", files=FILES, data={"steps": 5, **fields}, headers=headers)


def job_of(client: httpx.Client, headers: dict[str, str]) -> dict[str, Any]:
    """A job's document, just queued."""
    answer = client.post("/v1/jobs", files=FILES, data={"steps": 5}, headers=headers)
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def test_a_request_is_one_trace_from_its_caller_to_its_picture(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    start_worker()
    answer = inpaint(client, CALLER)
    assert answer.status_code == 200, answer.text
    request, attempt = spans.one("POST /v1/inpaint"), spans.one("attempt")
    assert spans.tree() == {
        "": {"POST /v1/inpaint"},
        "POST /v1/inpaint": {"admit", "enqueue"},
        "enqueue": {"queue wait", "attempt"},
        "attempt": STAGES,
    }
    assert {trace_of(span) for span in spans.get_finished_spans()} == {CALLER_TRACE}
    assert {state_of(span) for span in spans.get_finished_spans()} == {"vendor=opaque"}
    assert parent_of(request) == CALLER_SPAN
    assert answer.headers["traceresponse"] == f"00-{CALLER_TRACE}-{id_of(request)}-01"
    assert (request.kind, attempt.kind) == (SpanKind.SERVER, SpanKind.CONSUMER)
    assert told(request) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/v1/inpaint",
        "http.response.status_code": 200,
        "moebius.job.id": answer.headers["x-job-id"],
    }


def test_the_worker_tells_what_each_stage_was(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    start_worker(max_batch=2)
    job_id = inpaint(client, AS_JSON, n=3).json()["job_id"]
    attempt = spans.one("attempt")
    assert told(attempt) == {
        "moebius.job.id": job_id,
        "moebius.job.attempt": 1,
        "moebius.job.outcome": "succeeded",
        "moebius.model": "moebius-nano",
        "moebius.steps": 5,
        "moebius.candidates": 3,
        "moebius.priority": "interactive",
    }
    first, second = spans.named("batch join")
    assert told(first) == {
        "moebius.step": 0,
        "moebius.batch.items": 2,
        "moebius.items": 2,
        "moebius.wait.steps": 0,
    }
    assert told(second) == {
        "moebius.step": 5,
        "moebius.batch.items": 1,
        "moebius.items": 1,
        "moebius.wait.steps": 5,
    }
    denoise = spans.one("denoise")
    assert told(denoise)["moebius.batch.sizes"] == (2,) * 5 + (1,) * 5
    assert told(denoise)["moebius.steps"] == 10
    assert [told(span) for span in spans.named("vae encode")] == [{"moebius.crop": 0}]
    assert [told(span) for span in spans.named("vae decode")] == [
        {"moebius.candidate": candidate, "moebius.crop": 0} for candidate in range(3)
    ]
    assert sorted(told(span)["moebius.candidate"] for span in spans.named("compose")) == [0, 1, 2]
    assert 0 < seconds_of(denoise) < seconds_of(attempt)
    assert seconds_of(second) > 0


def test_a_job_that_joins_another_ones_batch_tells_its_size(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    worker = start_worker()
    worker.engine.gate.clear()
    first = submitted(client, steps=100)
    assert worker.engine.stepping.wait(60)
    submitted(client, steps=5)
    while len(spans.named("batch join")) < 2:
        worker.engine.gate.allow(1)
    worker.engine.gate.set()
    alone, joining = spans.named("batch join")
    assert told(alone)["moebius.batch.items"] == 1
    assert told(joining)["moebius.batch.items"] == 2
    assert 0 < told(joining)["moebius.step"] < 100
    client.delete(first["links"]["self"])


def test_what_is_done_for_a_job_belongs_to_the_request_that_submitted_it(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    start_worker()
    job = job_of(client, CALLER)
    with watching(client, job["id"]) as events:
        assert [event.kind for event in events][-1] == "succeeded"
    attempt, wait = spans.one("attempt"), spans.one("queue wait")
    assert trace_of(attempt) == trace_of(wait) == CALLER_TRACE
    assert seconds_of(wait) > 0
    watched = spans.one("GET /v1/jobs/{job_id}/events")
    assert trace_of(watched) != CALLER_TRACE
    assert told(watched)["moebius.job.id"] == job["id"]


def test_a_second_attempt_is_told_in_the_same_trace(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    stuck = start_worker(lease=0.5, renew_every=0.1)
    stuck.engine.gate.clear()
    job = submitted(client, steps=5)
    assert stuck.engine.stepping.wait(60)
    start_worker()
    with watching(client, job["id"]) as events:
        assert [event.kind for event in events][-1] == "succeeded"
    stuck.engine.gate.set()
    while len(spans.named("attempt")) < 2:
        assert stuck.thread.is_alive()
    outcomes = {
        told(span)["moebius.job.attempt"]: told(span)["moebius.job.outcome"]
        for span in spans.named("attempt")
    }
    assert outcomes == {1: "lost", 2: "succeeded"}
    assert len({trace_of(span) for span in spans.named("attempt")}) == 1
    assert sorted(told(span)["moebius.job.attempt"] for span in spans.named("queue wait")) == [1, 2]


def test_a_job_that_fails_says_so_by_its_code_alone(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    start_worker()
    files = {**FILES, "image": ("photo.png", PHOTO[: len(PHOTO) // 2])}
    answer = client.post("/v1/inpaint", files=files)
    assert answer.status_code == 422
    for name in ("attempt", "decode"):
        span = spans.one(name)
        assert span.status.status_code is StatusCode.ERROR
        assert told(span)["error.type"] == "truncated_image"
        assert span.status.description is None
        assert span.events == ()
    request = spans.one("POST /v1/inpaint")
    assert request.status.status_code is StatusCode.UNSET, "the client's mistake is no fault of the server"
    assert told(request)["http.response.status_code"] == 422


def test_an_answer_of_the_servers_fault_is_an_error(client: httpx.Client, spans: KeptSpans) -> None:
    assert inpaint(client).status_code == 503
    request = spans.one("POST /v1/inpaint")
    assert request.status.status_code is StatusCode.ERROR
    assert told(request)["error.type"] == "503"
    assert told(spans.one("admit"))["error.type"] == "not_ready"


def test_a_malformed_context_is_ignored(client: httpx.Client, spans: KeptSpans) -> None:
    for number, malformed in enumerate(MALFORMED, 1):
        assert client.get("/v1/models", headers={"traceparent": malformed}).status_code == 200
        until(lambda: len(spans.get_finished_spans()) == number)  # noqa: B023  # called here
    for request in spans.get_finished_spans():
        assert request.parent is None
        assert trace_of(request) != CALLER_TRACE


def test_two_contexts_are_none(client: httpx.Client, spans: KeptSpans) -> None:
    twice = [("traceparent", CALLER["traceparent"])] * 2
    assert client.get("/v1/models", headers=twice).status_code == 200
    assert spans.one("GET /v1/models").parent is None


def test_a_trace_that_the_caller_does_not_sample_is_not_kept_anywhere(
    client: httpx.Client, start_worker: StartWorker, spans: KeptSpans
) -> None:
    start_worker()
    answer = inpaint(client, {"traceparent": f"00-{CALLER_TRACE}-{CALLER_SPAN}-00"})
    assert answer.status_code == 200
    assert answer.headers["traceresponse"].startswith(f"00-{CALLER_TRACE}-")
    assert answer.headers["traceresponse"].endswith("-00")
    assert spans.get_finished_spans() == ()


def test_probes_and_scrapes_are_not_traced(client: httpx.Client, spans: KeptSpans) -> None:
    for route in ("/livez", "/readyz", "/metrics"):
        assert "traceresponse" not in client.get(route, headers=CALLER).headers
    client.get("/v1/models")
    spans.one("GET /v1/models")
    assert len(spans.get_finished_spans()) == 1


def test_no_path_query_or_method_of_a_clients_making_names_a_span(
    client: httpx.Client, spans: KeptSpans
) -> None:
    client.request("BREW", "/secret-path?key=secret-key")
    span = spans.one("_OTHER unmatched")
    assert "secret" not in str(span.to_json())


def test_without_an_endpoint_there_is_no_span_and_the_callers_context_reaches_the_worker(
    client: httpx.Client, start_worker: StartWorker
) -> None:
    worker = start_worker()
    worker.engine.gate.clear()
    job = job_of(client, CALLER)
    assert worker.engine.stepping.wait(60)
    (claim,) = worker.worker.feeder._holdings.claims()
    assert claim.job.id == job["id"]
    assert (claim.job.traceparent, claim.job.tracestate) == (CALLER["traceparent"], CALLER["tracestate"])
    worker.engine.gate.set()
    with watching(client, job["id"]) as events:
        assert [event.kind for event in events][-1] == "succeeded"
    assert "traceresponse" not in client.get("/v1/models", headers=CALLER).headers

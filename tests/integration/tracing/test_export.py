"""Spans leave by OTLP over HTTP; a collector that is away, or that hangs, holds up nobody."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import httpx
import pytest

from service import tracing
from service.contracts import Job, Params
from service.settings import Settings
from tests.integration.edge.requests import FILES
from tests.integration.tracing.kept_spans import CALLER
from tests.integration.worker.running_worker import RunningWorker
from tests.otlp_receiver import otlp_receiver

JOB = Job("s0-0", "alice", Params(), b"", b"", 0.0, traceparent=CALLER["traceparent"])


def test_spans_reach_the_collector_at_the_latest_when_the_process_ends() -> None:
    with otlp_receiver() as receiver:
        with tracing.exporting(Settings(otlp_endpoint=f"{receiver.url}/"), "moebius-worker"):
            tracing.past_span("denoise", JOB, 2.0, {"moebius.batch.sizes": [1, 2]})
        (received,) = receiver.spans
        assert receiver.refused == 0
    assert (received.service, received.span.name) == ("moebius-worker", "denoise")
    assert received.trace_id == CALLER["traceparent"].split("-")[1]
    assert received.span.end_time_unix_nano - received.span.start_time_unix_nano == 2_000_000_000


def test_the_share_of_traces_is_set_by_opentelemetrys_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with otlp_receiver() as receiver:
        with tracing.exporting(Settings(otlp_endpoint=receiver.url), "moebius-edge"):
            with tracing.server_span("unsampled", {}, {}):
                pass
            with tracing.server_span("sampled by its caller", CALLER, {}):
                pass
        assert [received.span.name for received in receiver.spans] == ["sampled by its caller"]


@pytest.fixture(params=["refuses", "hangs"])
def dead_collector(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a port where nobody listens, or where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if request.param == "refuses":
            listener.close()
            yield "http://127.0.0.1:9"
        else:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_dead_collector_holds_up_neither_requests_nor_the_end(
    client: httpx.Client,
    start_worker: Callable[..., RunningWorker],
    dead_collector: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "FLUSH_TIMEOUT", 0.1)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")  # ms: the exporter is at it all the time
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")  # spans: it is full at once
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1000000")  # far beyond any test's patience
    with tracing.exporting(Settings(otlp_endpoint=dead_collector), "moebius-edge"):
        start_worker()
        for _ in range(3):
            assert client.post("/v1/inpaint", files=FILES, data={"steps": 5}).status_code == 200

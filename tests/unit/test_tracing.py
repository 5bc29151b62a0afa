"""The context of a trace as a job carries it, what it costs where nobody traces, and what its setting takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN
from pydantic import ValidationError

from service import tracing
from service.contracts import Job, Params
from service.log_context import current_fields, job_fields, log_fields, note
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def job(traceparent: str | None = None) -> Job:
    return Job("s0-1", "alice", Params(), b"", b"", 0.0, traceparent=traceparent)


def test_a_job_of_no_trace_carries_none() -> None:
    assert tracing.carried(job()).traceparent is None
    assert job_fields(job()) == {"job": "s0-1"}
    assert current_fields() == {}


def test_without_tracing_the_callers_context_goes_on_as_it_came() -> None:
    with tracing.server_span("GET", {**CALLER, "tracestate": "a=1"}, {}) as span, tracing.span("admit"):
        carried = tracing.carried(job())
        assert tracing.trace_response(span) is None
        assert current_fields() == {"trace_id": TRACE}
    assert (carried.traceparent, carried.tracestate) == (CALLER["traceparent"], "a=1")
    assert job_fields(carried) == {"job": "s0-1", "trace_id": TRACE}
    assert not tracing.is_traced(carried)


def test_with_tracing_a_line_names_our_span() -> None:
    with tracing.spans_kept(SimpleSpanProcessor(InMemorySpanExporter()), "moebius-edge"):
        with tracing.server_span("GET", CALLER, {}):
            carried = tracing.carried(job())
            fields = current_fields()
        assert fields["trace_id"] == TRACE
        assert fields["span_id"] != SPAN
        assert job_fields(carried) == {"job": "s0-1", **fields}
        assert tracing.is_traced(carried)
        assert not tracing.is_traced(job(f"00-{TRACE}-{SPAN}-00"))
        assert not tracing.is_traced(job())


def test_what_is_noted_of_a_request_is_on_its_lines_until_it_ends() -> None:
    note(job="nobody's")
    with log_fields(peer="192.0.2.1"):
        note(job="s0-1")
        with log_fields(stage="decode"):
            assert current_fields() == {"peer": "192.0.2.1", "job": "s0-1", "stage": "decode"}
        assert current_fields() == {"peer": "192.0.2.1", "job": "s0-1"}
    assert current_fields() == {}


def test_nothing_is_told_of_a_span_that_is_none() -> None:
    assert tracing.trace_response(INVALID_SPAN) is None


def test_without_an_endpoint_no_exporter_is_loaded() -> None:
    script = (
        "import sys, service.edge.app; from service import tracing; from service.settings import Settings\n"
        "with tracing.exporting(Settings(otlp_endpoint=''), 'moebius-edge'): pass\n"
        "ours = ('opentelemetry.sdk.trace', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert finished.stdout == "[]\n"


@pytest.mark.parametrize("wrong", ["collector:4318", "grpc://collector:4317", "http://", "http://c/?key=1"])
def test_an_endpoint_that_is_no_address_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(ValidationError, match="http://collector:4318"):
        Settings(otlp_endpoint=wrong)

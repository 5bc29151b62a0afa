"""Traces by OpenTelemetry: one a request, from the edge through the job to the worker, in W3C's form (Trace Context).

Off unless `exporting` is entered with an endpoint: then no span is kept, and a caller's context is passed on as it
came. The provider is ours, not the process's global one, which libraries would fill with spans of their own.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import __version__
from service.contracts import Job
from service.errors import InpaintError
from service.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

FLUSH_TIMEOUT = 3.0  # seconds that the end of a process waits for spans to leave it
TRACE_RESPONSE = "traceresponse"
JOB_ID = "moebius.job.id"
SAMPLED = 0x01  # W3C Trace Context, section 3.2.2.5
W3C = TraceContextTextMapPropagator()
OFF = NoOpTracer()

Attributes: TypeAlias = Mapping[str, str | int | float | bool | list[int]]

_tracer: Tracer = OFF


def enabled() -> bool:
    """Whether spans are kept in this process."""
    return _tracer is not OFF


@contextmanager
def exporting(settings: Settings, service: str) -> Iterator[None]:
    """Send spans to the settings' OTLP endpoint until the end of the block, as those of `service`; nothing if there
    is no endpoint.

    They leave by a thread of their own and a bounded queue, so that nobody ever waits for a collector: spans that it
    does not take are lost. Sampling, headers and batches are set by OpenTelemetry's own variables (OTEL_...).
    """
    if not settings.otlp_endpoint:
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    processor = BatchSpanProcessor(exporter)
    try:
        with spans_kept(processor, service):
            yield
    finally:
        leaving = threading.Thread(target=processor.shutdown, name="last-spans", daemon=True)
        leaving.start()
        leaving.join(FLUSH_TIMEOUT)
        if leaving.is_alive():
            exporter.shutdown()  # type: ignore[no-untyped-call]  # which ends its waiting for another try


@contextmanager
def spans_kept(processor: SpanProcessor, service: str) -> Iterator[None]:
    """Give spans to `processor` until the end of the block; the processor is the caller's to shut down."""
    global _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = Resource.create(
        {
            "service.name": service,
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    before, _tracer = _tracer, provider.get_tracer("moebius", __version__)
    try:
        yield
    finally:
        _tracer = before


@contextmanager
def server_span(name: str, headers: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
    """The span of a request that came with `headers` (lower case), in its caller's trace if they name one. A context
    that is malformed is ignored. Whether the request failed is its transport's to tell.
    """
    with _current(name, W3C.extract(headers), SpanKind.SERVER, attributes) as current:
        yield current


@contextmanager
def span(
    name: str,
    *,
    job: Job | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
) -> Iterator[Span]:
    """A part of the current span's work, or of the `job`'s. An error that leaves it is noted by its code alone: its
    text may tell what a client sent.
    """
    with _current(name, None if job is None else _context_of(job), kind, attributes) as current:
        try:
            yield current
        except Exception as error:
            mark_failed(current, error.code if isinstance(error, InpaintError) else type(error).__name__)
            raise


def _current(
    name: str, context: Context | None, kind: SpanKind, attributes: Attributes | None
) -> AbstractContextManager[Span]:
    return _tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    )


def mark_failed(span: Span, kind: str) -> None:
    """Note that what the span tells of failed, with a stable word for how."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def name_job(span: Span, job_id: str | None) -> None:
    """Note which job the span is about, if any."""
    if job_id is not None:
        span.set_attribute(JOB_ID, job_id)


def begun_span(name: str, job: Job, kind: SpanKind, attributes: Attributes) -> Span:
    """A span of the job's trace whose `end` is the caller's to call, from any thread."""
    return _tracer.start_span(name, _context_of(job), kind, attributes)


def past_span(name: str, job: Job, seconds: float, attributes: Attributes | None = None) -> None:
    """Keep a span of the job's trace that ends now and took `seconds`."""
    if not is_traced(job):
        return
    ended = time_ns()
    started = ended - int(seconds * 1e9)
    _tracer.start_span(name, _context_of(job), attributes=attributes, start_time=started).end(ended)


def is_traced(job: Job) -> bool:
    """Whether spans of the job are kept in this process."""
    return enabled() and job.traceparent is not None and bool(int(job.traceparent[-2:], 16) & SAMPLED)


def carried(job: Job, by: Span | None = None) -> Job:
    """The job with the context of the span `by`, or of the current one: what is done for it is part of that."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier, None if by is None else set_span_in_context(by))
    return replace(job, traceparent=carrier.get("traceparent"), tracestate=carrier.get("tracestate"))


def trace_response(span: Span) -> str | None:
    """What the client is told of our span, as W3C's `traceresponse` (Trace Context Level 2, a draft):
    version-trace-span-flags. None where there is no span of ours.
    """
    context = span.get_span_context()
    if not context.is_valid or context.is_remote:
        return None
    return (
        f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"
    )


def current_ids() -> dict[str, str]:
    """`trace_id` of the current trace, and `span_id` where the span is ours; nothing outside of a trace."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    ids = {"trace_id": format_trace_id(context.trace_id)}
    return ids if context.is_remote else {**ids, "span_id": format_span_id(context.span_id)}


def ids_of(job: Job) -> dict[str, str]:
    """The same, of the job's trace."""
    if job.traceparent is None:
        return {}
    _, trace_id, span_id, _ = job.traceparent.split("-")
    return {"trace_id": trace_id, "span_id": span_id} if enabled() else {"trace_id": trace_id}


def _context_of(job: Job) -> Context:
    context = {"traceparent": job.traceparent, "tracestate": job.tracestate}
    return W3C.extract({name: value for name, value in context.items() if value is not None})

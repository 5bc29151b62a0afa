"""Spans in memory, and how a test looks at them: by name, by trace, as a tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from tests.integration.edge.live_edge import until

CALLER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{CALLER_TRACE}-{CALLER_SPAN}-01", "tracestate": "vendor=opaque"}


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def trace_of(span: ReadableSpan) -> str:
    return format_trace_id(context_of(span).trace_id)


def id_of(span: ReadableSpan) -> str:
    return format_span_id(context_of(span).span_id)


def state_of(span: ReadableSpan) -> str:
    return context_of(span).trace_state.to_header()


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else format_span_id(span.parent.span_id)


def told(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes."""
    return span.attributes or {}


def seconds_of(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


class KeptSpans(InMemorySpanExporter):
    """All spans that have ended."""

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only span of that name; waits for it."""
        until(lambda: bool(self.named(name)))
        (span,) = self.named(name)
        return span

    def tree(self) -> dict[str, set[str]]:
        """The names under each span's name, and under "" of what has no parent here."""
        names = {id_of(span): span.name for span in self.get_finished_spans()}
        children: dict[str, set[str]] = {}
        for span in self.get_finished_spans():
            children.setdefault(names.get(parent_of(span) or "", ""), set()).add(span.name)
        return children

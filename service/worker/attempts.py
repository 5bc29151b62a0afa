"""Attempts at jobs as traces: the span that each has on this worker, from its claim until the job has left it."""

from __future__ import annotations

from dataclasses import replace

from opentelemetry.trace import Span, SpanKind

from service import tracing
from service.queue.consumer import Claim

ATTEMPT = "moebius.job.attempt"


class Attempts:
    """The spans that are open. Any thread may call it: one begins what another one ends."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, int], Span] = {}

    def begin(self, claim: Claim) -> Claim:
        """The claim with its job in the attempt's span, which is part of the trace that the job came with."""
        if not tracing.enabled():
            return claim
        job, params = claim.job, claim.job.params
        named: tracing.Attributes = {tracing.JOB_ID: job.id, ATTEMPT: claim.attempt}
        tracing.past_span("queue wait", job, claim.queued_seconds, named)
        details: tracing.Attributes = {
            "moebius.model": params.model or "",
            "moebius.steps": params.steps_run,
            "moebius.candidates": params.n,
            "moebius.priority": params.priority.value,
        }
        span = tracing.begun_span("attempt", job, SpanKind.CONSUMER, {**named, **details})
        self._spans[job.id, claim.token] = span
        return replace(claim, job=tracing.carried(job, span))

    def end(self, claim: Claim, outcome: str, error: str | None = None) -> None:
        """The job has left this worker; `error` is the code that it failed with. Harmless when repeated."""
        span = self._spans.pop((claim.job.id, claim.token), None)
        if span is None:
            return
        span.set_attribute("moebius.job.outcome", outcome)
        if error is not None:
            tracing.mark_failed(span, error)
        span.end()

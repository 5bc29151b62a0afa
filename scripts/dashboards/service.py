"""The dashboard Service: is it up, how much is asked of it, how often and how fast does it answer."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import units

from scripts.dashboards.alert_limits import alert_limit, latency_objective
from scripts.dashboards.frame import FIRING_ALERTS, framed
from scripts.dashboards.panels import HALF, STATUS_COLORS, Limit, Query, graph, heat_map, number
from scripts.dashboards.promql import (
    increase,
    largest,
    of_edges,
    of_workers,
    or_zero,
    quantile,
    rate,
    ratio,
    total,
)

USE = 'route=~"/v1/.+"'  # not the probes' and scrapes' routes
GRPC_USE = 'method=~"moebius[.].+"'  # neither health nor reflection
SERVER_ERRORS = 'code=~"50[0-3]"'
GRPC_ERRORS = 'code=~"INTERNAL|UNAVAILABLE|UNKNOWN|DATA_LOSS"'
HTTP = "inpaint_http_requests_total"
GRPC = "inpaint_grpc_requests_total"
DURATION = "inpaint_request_duration_seconds_bucket"
WAIT = "inpaint_queue_wait_seconds_bucket"

REQUESTS = (
    f"({or_zero(total(rate(of_edges(HTTP, USE))))}) + ({or_zero(total(rate(of_edges(GRPC, GRPC_USE))))})"
)
ERRORS = (
    f"({or_zero(total(rate(of_edges(HTTP, USE, SERVER_ERRORS))))})"
    f" + ({or_zero(total(rate(of_edges(GRPC, GRPC_USE, GRPC_ERRORS))))})"
)

ERROR_LIMIT = Limit(alert_limit("InpaintErrorRatio"))
LATENCY_LIMIT = Limit(latency_objective())


def board() -> Dashboard:
    """The whole dashboard."""
    return _traffic(_numbers(framed("service", "Service", "Rate, errors and duration, as clients see them.")))


def _numbers(board: Dashboard) -> Dashboard:
    """The first row: six numbers."""
    return (
        board.with_panel(
            number("Requests", "HTTP requests to /v1 and gRPC calls.", units.RequestsPerSecond, REQUESTS)
        )
        .with_panel(
            number(
                "Error ratio",
                "Part of the requests that the service failed: 500 to 503, or their like in gRPC. Deadlines that "
                "clients chose, and 429, do not count.",
                units.PercentUnit,
                ratio(ERRORS, REQUESTS),
                limit=ERROR_LIMIT,
            )
        )
        .with_panel(
            number(
                "Latency p99",
                "99 % of the synchronous requests were answered faster. The limit is the objective.",
                units.Seconds,
                quantile(0.99, of_edges(DURATION, 'mode="sync"')),
                limit=LATENCY_LIMIT,
            )
        )
        .with_panel(
            number(
                "Workers ready",
                "Workers that take jobs now.",
                units.Short,
                or_zero(total(of_workers("inpaint_worker_ready"))),
                limit=Limit(1, below=True),
            )
        )
        .with_panel(
            number(
                "Oldest interactive job",
                "How long the interactive job waits that has waited longest.",
                units.Seconds,
                largest(of_edges("inpaint_oldest_job_age_seconds", 'priority="interactive"')),
                limit=Limit(alert_limit("InpaintInteractiveQueueAge")),
            )
        )
        .with_panel(
            number(
                "Alerts firing",
                "Alerts of Prometheus' rules that fire now; the runbook has a heading for each.",
                units.Short,
                or_zero(f"count({FIRING_ALERTS})"),
                limit=Limit(1),
            )
        )
    )


def _traffic(board: Dashboard) -> Dashboard:
    """Graphs of rate, errors, duration and the way through the queue."""
    return (
        board.with_panel(
            graph(
                "HTTP requests by route",
                "Requests to the interface; probes and scrapes are left out.",
                units.RequestsPerSecond,
                Query(total(rate(of_edges(HTTP, USE)), "method", "route"), "{{method}} {{route}}"),
                span=HALF,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "gRPC calls by method",
                "Calls to our service, without health and reflection, with the status that they ended with.",
                units.RequestsPerSecond,
                Query(total(rate(of_edges(GRPC, GRPC_USE)), "method", "code"), "{{method}} {{code}}"),
                span=HALF,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "HTTP answers by status",
                "4xx is the client's mistake, 429 overload, 5xx ours.",
                units.RequestsPerSecond,
                Query(total(rate(of_edges(HTTP, USE)), "code"), "{{code}}"),
                stacked=True,
                colors=STATUS_COLORS,
            )
        )
        .with_panel(
            graph(
                "Failed requests",
                "Part of the requests that the service failed: the error ratio over time.",
                units.PercentUnit,
                Query(ratio(ERRORS, REQUESTS), "failed"),
                limit=ERROR_LIMIT,
            )
        )
        .with_panel(
            graph(
                "Refused before the queue",
                "Requests that were refused at once, by the code in their answer.",
                units.RequestsPerSecond,
                Query(
                    or_zero(total(rate(of_edges("inpaint_rejected_total")), "reason"), "reason"), "{{reason}}"
                ),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Latency of synchronous requests",
                "From admission to the answer, both transports. The limit is the objective of the p99.",
                units.Seconds,
                *(
                    Query(quantile(part, of_edges(DURATION, 'mode="sync"')), name)
                    for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                ),
                span=HALF,
                limit=LATENCY_LIMIT,
            )
        )
        .with_panel(
            heat_map(
                "Latency of synchronous requests, all of them",
                "How many requests took how long: two humps are two kinds of requests.",
                units.Seconds,
                total(increase(of_edges(DURATION, 'mode="sync"')), "le"),
            )
        )
        .with_panel(
            graph(
                "Wait in the queue",
                "From submission to the claim by a worker, of jobs that ended well.",
                units.Seconds,
                *(
                    Query(quantile(part, of_workers(WAIT), "priority"), f"{{{{priority}}}} {name}")
                    for part, name in ((0.5, "p50"), (0.95, "p95"))
                ),
            )
        )
        .with_panel(
            graph(
                "Latency p95 by transport and mode",
                "Synchronous requests, streams and what else waits for its picture.",
                units.Seconds,
                Query(quantile(0.95, of_edges(DURATION), "transport", "mode"), "{{transport}} {{mode}}"),
            )
        )
        .with_panel(
            graph(
                "Burn rate of the error budgets",
                "1 spends a month's budget in a month: 0.1 % of the requests may fail, 1 % of the synchronous ones be "
                "slow. Of all edges; above the limit in both windows of an alert it wakes somebody.",
                units.Short,
                Query(_burn("request_failures", "requests", "1h", 0.001), "failures, 1 h"),
                Query(_burn("request_failures", "requests", "6h", 0.001), "failures, 6 h"),
                Query(_burn("slow_requests", "sync_requests", "1h", 0.01), "slow, 1 h"),
                Query(_burn("slow_requests", "sync_requests", "6h", 0.01), "slow, 6 h"),
                limit=Limit(alert_limit("InpaintErrorBudgetBurnsFast")),
            )
        )
    )


def _burn(bad: str, of: str, window: str, budget: float) -> str:
    """How many times faster than it lasts the budget is spent; by the recording rules."""
    return f"{ratio(f'inpaint:{bad}:rate{window}', f'inpaint:{of}:rate{window}')} / {budget}"

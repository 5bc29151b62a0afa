"""The dashboard Service: is it up, how much is asked of it, how often and how fast does it answer."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import units

from scripts.dashboards.frame import FIRING_ALERTS, framed
from scripts.dashboards.panels import HALF, Limit, Query, graph, heat_map, number
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

USE = 'route=~"/v1/.*"'  # not the probes' and scrapes' routes
SERVER_ERRORS = 'code=~"5.."'
GRPC_ERRORS = 'code=~"INTERNAL|UNAVAILABLE|UNKNOWN|DATA_LOSS"'
HTTP = "inpaint_http_requests_total"
GRPC = "inpaint_grpc_requests_total"
DURATION = "inpaint_request_duration_seconds_bucket"
WAIT = "inpaint_queue_wait_seconds_bucket"

REQUESTS = f"({or_zero(total(rate(of_edges(HTTP, USE))))}) + ({or_zero(total(rate(of_edges(GRPC))))})"
ERRORS = (
    f"({or_zero(total(rate(of_edges(HTTP, USE, SERVER_ERRORS))))})"
    f" + ({or_zero(total(rate(of_edges(GRPC, GRPC_ERRORS))))})"
)


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
                "Part of the requests that the service failed: 5xx, or their like in gRPC. A client's own mistakes "
                "and 429 do not count.",
                units.PercentUnit,
                ratio(ERRORS, REQUESTS),
                limit=Limit(0.01),
            )
        )
        .with_panel(
            number(
                "Latency p95",
                "95 % of the synchronous requests were answered faster. From admission to the answer.",
                units.Seconds,
                quantile(0.95, of_edges(DURATION, 'mode="sync"')),
            )
        )
        .with_panel(
            number(
                "Workers ready",
                "Workers that take jobs now.",
                units.Short,
                total(of_workers("inpaint_worker_ready")),
                limit=Limit(1, below=True),
            )
        )
        .with_panel(
            number(
                "Oldest waiting job",
                "How long the job waits that has waited longest.",
                units.Seconds,
                largest(of_edges("inpaint_oldest_job_age_seconds")),
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
                "Calls to our services, with the status that they ended with.",
                units.RequestsPerSecond,
                Query(total(rate(of_edges(GRPC)), "method", "code"), "{{method}} {{code}}"),
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
            )
        )
        .with_panel(
            graph(
                "Error ratio",
                "Part of the requests that the service failed.",
                units.PercentUnit,
                Query(ratio(ERRORS, REQUESTS), "failed"),
                limit=Limit(0.01),
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
                "From admission to the answer, both transports.",
                units.Seconds,
                *(
                    Query(quantile(part, of_edges(DURATION, 'mode="sync"')), name)
                    for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                ),
                span=HALF,
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
                    for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                ),
                span=HALF,
            )
        )
        .with_panel(
            graph(
                "Latency p95 by transport and mode",
                "Synchronous requests, streams and what else waits for its picture.",
                units.Seconds,
                Query(quantile(0.95, of_edges(DURATION), "transport", "mode"), "{{transport}} {{mode}}"),
                span=HALF,
            )
        )
    )

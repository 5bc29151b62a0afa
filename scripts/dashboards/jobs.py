"""The dashboard Jobs: what waits and runs, how jobs end, and whether the workers can keep up."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import units

from scripts.dashboards.alert_limits import alert_limit
from scripts.dashboards.frame import framed
from scripts.dashboards.panels import HALF, Limit, Query, graph, number
from scripts.dashboards.promql import (
    increase,
    largest,
    of_all,
    of_edges,
    of_workers,
    quantile,
    rate,
    total,
)

JOBS = "inpaint_jobs_total"
QUEUE = "inpaint_queue_jobs"
AGE = "inpaint_oldest_job_age_seconds"
MODEL = 'model=~"$model"'
READY_COST = of_edges("inpaint_queue_ready_cost", MODEL)
CAPACITY = largest(of_edges("inpaint_worker_capacity", MODEL), "model")
WORKERS = largest(of_edges("inpaint_workers", MODEL), "model")
INTERACTIVE = 'priority="interactive"'
AGE_LIMIT = Limit(alert_limit("InpaintInteractiveQueueAge"))
BACKLOG_LIMIT = Limit(alert_limit("InpaintInteractiveBacklog"))
JOBS_UNIT, COST_UNIT, CAPACITY_UNIT = "suffix: jobs/s", "suffix: evaluations", "suffix: evaluations/s"

OUTCOME_COLORS = {
    "succeeded": "green",
    "cancelled": "blue",
    "expired": "purple",
    "failed": "orange",
    "dead_lettered": "red",
}


def board() -> Dashboard:
    """The whole dashboard."""
    about = "From the queue to their end: what waits, what was redelivered, and how much work that is."
    return _backlog(_life(_numbers(framed("jobs", "Jobs", about))))


def _numbers(board: Dashboard) -> Dashboard:
    """The first row: six numbers."""
    return (
        board.with_panel(
            number("Waiting", "Jobs that no worker has claimed.", units.Short, _queued("waiting"))
        )
        .with_panel(
            number("Running", "Jobs that a worker holds a lease on.", units.Short, _queued("running"))
        )
        .with_panel(
            number(
                "Succeeded",
                "Jobs that ended with a picture.",
                JOBS_UNIT,
                total(rate(of_all(JOBS, _is("succeeded")))),
            )
        )
        .with_panel(
            number(
                "Dead letters",
                "Jobs in the chosen time that were given up, since each of their workers was lost.",
                units.Short,
                f"sum(increase({of_all(JOBS, _is('dead_lettered'))}[$__range]))",
                limit=Limit(1),
                decimals=0,
            )
        )
        .with_panel(
            number(
                "Oldest interactive job",
                "How long the interactive job waits that has waited longest.",
                units.Seconds,
                largest(of_edges(AGE, INTERACTIVE)),
                limit=AGE_LIMIT,
            )
        )
        .with_panel(
            number(
                "Backlog",
                "Seconds that its workers need for the interactive work that waits, of the model that is worst off.",
                units.Seconds,
                largest(_backlog_seconds(INTERACTIVE)),
                limit=BACKLOG_LIMIT,
            )
        )
    )


def _queued(state: str) -> str:
    """Jobs of all priorities in that state; every edge tells the same."""
    return total(largest(of_edges(QUEUE, f'state="{state}"'), "priority"))


def _is(outcome: str) -> str:
    return f'outcome="{outcome}"'


def _life(board: Dashboard) -> Dashboard:
    """The jobs, and how they end."""
    return (
        board.with_panel(
            graph(
                "Jobs that ended, by outcome",
                "Succeeded, or why not.",
                JOBS_UNIT,
                Query(total(rate(of_all(JOBS)), "outcome"), "{{outcome}}"),
                colors=OUTCOME_COLORS,
                span=HALF,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Jobs in the queue",
                "Waiting for a worker, and running, by priority.",
                units.Short,
                Query(largest(of_edges(QUEUE), "priority", "state"), "{{priority}} {{state}}"),
                span=HALF,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Age of the oldest waiting job",
                "By priority; batch work may wait longer by design. The limit is that of interactive work.",
                units.Seconds,
                Query(largest(of_edges(AGE), "priority"), "{{priority}}"),
                limit=AGE_LIMIT,
            )
        )
        .with_panel(
            graph(
                "Redeliveries and lost work",
                "Jobs that went back into the queue since their worker was silent, jobs that a worker had to drop, "
                "results that came too late.",
                JOBS_UNIT,
                Query(total(rate(of_workers("inpaint_redeliveries_total"))), "put back"),
                Query(total(rate(of_workers("inpaint_lease_lost_total"))), "lease lost"),
                Query(total(rate(of_workers("inpaint_superseded_results_total"))), "result too late"),
            )
        )
        .with_panel(
            graph(
                "Jobs that did not succeed",
                "In each interval of the graph. Dead letters wait for a person to look at them.",
                "suffix: jobs",
                Query(
                    total(increase(of_all(JOBS, 'outcome!="succeeded"')), "outcome"),
                    "{{outcome}}",
                ),
                colors=OUTCOME_COLORS,
            )
        )
    )


def _backlog_seconds(*matchers: str) -> str:
    """Cost over throughput, by model and priority; none for a model without workers."""
    cost = largest(of_edges("inpaint_queue_ready_cost", MODEL, *matchers), "model", "priority")
    return f"{cost} / on (model) group_left () ({CAPACITY} > 0)"


def _backlog(board: Dashboard) -> Dashboard:
    """The work that waits against the workers that there are."""
    return (
        board.with_panel(
            graph(
                "Cost of the waiting jobs",
                "Evaluations of the network, as admission counts them: guidance doubles a step.",
                COST_UNIT,
                Query(largest(READY_COST, "model", "priority"), "{{model}} {{priority}}"),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Backlog against capacity",
                "Seconds that a model's workers need for what waits. The limit is that of interactive work.",
                units.Seconds,
                Query(_backlog_seconds(), "{{model}} {{priority}}"),
                limit=BACKLOG_LIMIT,
            )
        )
        .with_panel(
            graph(
                "Capacity",
                "Evaluations of the network a second that the workers do, as their latest steps tell, by model.",
                CAPACITY_UNIT,
                Query(CAPACITY, "{{model}}"),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Workers",
                "Workers that are registered with the queue, by model.",
                units.Short,
                Query(WORKERS, "{{model}}"),
                span=HALF,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Wait in the queue, p95",
                "From submission to the claim by a worker, by priority; of jobs that ended well.",
                units.Seconds,
                Query(
                    quantile(0.95, of_workers("inpaint_queue_wait_seconds_bucket"), "priority"),
                    "{{priority}}",
                ),
                span=HALF,
            )
        )
    )

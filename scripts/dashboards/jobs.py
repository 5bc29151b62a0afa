"""The dashboard Jobs: what waits and runs, how jobs end, and whether the workers can keep up."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import units

from scripts.dashboards.frame import framed
from scripts.dashboards.panels import HALF, Limit, Query, graph, number
from scripts.dashboards.promql import (
    increase,
    largest,
    of_all,
    of_edges,
    of_workers,
    or_zero,
    rate,
    ratio,
    total,
)

JOBS = "inpaint_jobs_total"
QUEUE = "inpaint_queue_jobs"
AGE = "inpaint_oldest_job_age_seconds"
MODEL = 'model=~"$model"'
READY_COST = of_edges("inpaint_queue_ready_cost", MODEL)
CAPACITY = largest(of_edges("inpaint_worker_capacity", MODEL), "model")
WORKERS = largest(of_edges("inpaint_workers", MODEL), "model")
COST = f"sum by (model) ({largest(READY_COST, 'model', 'priority')})"
JOBS_UNIT, COST_UNIT, CAPACITY_UNIT = "suffix: jobs/s", "suffix: crop steps", "suffix: crop steps/s"


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
                or_zero(f"sum(increase({of_all(JOBS, _is('dead_lettered'))}[$__range]))"),
                limit=Limit(1),
                decimals=0,
            )
        )
        .with_panel(
            number(
                "Oldest waiting job",
                "How long the job waits that has waited longest.",
                units.Seconds,
                largest(of_edges(AGE)),
            )
        )
        .with_panel(
            number(
                "Backlog",
                "Seconds that all workers need for what waits, of the model that is worst off.",
                units.Seconds,
                f"max({ratio(COST, CAPACITY)})",
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
                "By priority; batch work may wait longer by design.",
                units.Seconds,
                Query(largest(of_edges(AGE), "priority"), "{{priority}}"),
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
                    or_zero(total(increase(of_all(JOBS, 'outcome!="succeeded"')), "outcome"), "outcome"),
                    "{{outcome}}",
                ),
            )
        )
    )


def _backlog(board: Dashboard) -> Dashboard:
    """The work that waits against the workers that there are."""
    return (
        board.with_panel(
            graph(
                "Cost of the waiting jobs",
                "What admission counts: denoising steps of single crops, by model and priority.",
                COST_UNIT,
                Query(largest(READY_COST, "model", "priority"), "{{model}} {{priority}}"),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Backlog against capacity",
                "Seconds that the workers of a model need for what waits: the cost over their throughput.",
                units.Seconds,
                Query(ratio(COST, CAPACITY), "{{model}}"),
            )
        )
        .with_panel(
            graph(
                "Capacity",
                "Throughput that the workers measured at their start and published, by model.",
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
                "Work done against capacity",
                "Denoising steps of single crops that were computed, and that could have been.",
                CAPACITY_UNIT,
                Query(total(rate(of_workers("inpaint_batch_size_sum"))), "done"),
                Query(total(CAPACITY), "capacity"),
                span=HALF,
            )
        )
    )

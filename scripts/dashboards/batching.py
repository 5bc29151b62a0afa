"""The dashboard Batching: how full the running batch is, who waits for it, how long its steps take."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import units

from scripts.dashboards.frame import framed
from scripts.dashboards.panels import HALF, Query, graph, heat_map, number
from scripts.dashboards.promql import increase, of_workers, quantile, rate, ratio, total

SIZE = "inpaint_batch_size"
STEPS = rate(of_workers(f"{SIZE}_count"))
ITEM_STEPS = rate(of_workers(f"{SIZE}_sum"))
STEP_TIME = "inpaint_step_duration_seconds_bucket"
JOIN_WAIT = "inpaint_join_wait_steps_bucket"
PLACES = "inpaint_places"
BUSY = rate(of_workers("inpaint_gpu_busy_seconds_total"))
STAGE = "inpaint_stage_duration_seconds"
STEPS_UNIT, ITEM_STEPS_UNIT = "suffix: steps/s", "suffix: crop steps/s"


def board() -> Dashboard:
    """The whole dashboard."""
    about = (
        "The running batch: a request joins it at the next denoising step, and leaves when its own are done."
    )
    return _time(_batch(_numbers(framed("batching", "Batching", about))))


def _numbers(board: Dashboard) -> Dashboard:
    """The first row: six numbers."""
    taken = total(of_workers(PLACES, 'state="taken"'))
    return (
        board.with_panel(
            number(
                "Mean batch size",
                "Crops that share a denoising step.",
                units.Short,
                ratio(total(ITEM_STEPS), total(STEPS)),
                decimals=1,
            )
        )
        .with_panel(
            number(
                "Work",
                "Denoising steps of single crops, all workers: their throughput.",
                ITEM_STEPS_UNIT,
                total(ITEM_STEPS),
            )
        )
        .with_panel(
            number(
                "Places taken",
                "Part of all workers' places that hold a crop.",
                units.PercentUnit,
                ratio(taken, total(of_workers(PLACES))),
            )
        )
        .with_panel(
            number(
                "Device busy",
                "Part of the time that the devices worked, on average.",
                units.PercentUnit,
                f"avg({BUSY})",
            )
        )
        .with_panel(
            number(
                "Step p95",
                "95 % of the denoising steps, whatever their batch, took less.",
                units.Seconds,
                quantile(0.95, of_workers(STEP_TIME)),
            )
        )
        .with_panel(
            number(
                "Since the last step",
                "Seconds since any worker finished a step; it grows while there is nothing to do, too.",
                units.Seconds,
                f"time() - max({of_workers('inpaint_last_step_timestamp_seconds')})",
            )
        )
    )


def _batch(board: Dashboard) -> Dashboard:
    """The batch itself: sizes, joins, places."""
    return (
        board.with_panel(
            heat_map(
                "Batch size",
                "How many steps were computed with how many crops.",
                units.Short,
                total(increase(of_workers(f"{SIZE}_bucket")), "le"),
            )
        )
        .with_panel(
            graph(
                "Mean batch size by worker",
                "Crops that share a denoising step.",
                units.Short,
                Query(ratio(total(ITEM_STEPS, "instance"), total(STEPS, "instance")), "{{instance}}"),
                span=HALF,
            )
        )
        .with_panel(
            graph(
                "Wait for a place",
                "Steps of the running batch between a request's arrival at the worker and its first place.",
                "suffix: steps",
                *(
                    Query(quantile(part, of_workers(JOIN_WAIT)), name)
                    for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                ),
            )
        )
        .with_panel(
            graph(
                "Places",
                "A place holds one crop of one candidate.",
                units.Short,
                Query(total(of_workers(PLACES), "state"), "{{state}}"),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Device busy by worker",
                "Part of the time that each worker's device worked: steps and the autoencoder.",
                units.PercentUnit,
                Query(total(BUSY, "instance"), "{{instance}}"),
            )
        )
    )


def _time(board: Dashboard) -> Dashboard:
    """Where a worker's time goes."""
    by_bucket = "up to {{batch_bucket}} crops"
    return (
        board.with_panel(
            graph(
                "Step time by batch size, p50",
                "Half of the steps with that many crops took less.",
                units.Seconds,
                Query(quantile(0.5, of_workers(STEP_TIME), "batch_bucket"), by_bucket),
            )
        )
        .with_panel(
            graph(
                "Step time by batch size, p95",
                "95 % of the steps with that many crops took less.",
                units.Seconds,
                Query(quantile(0.95, of_workers(STEP_TIME), "batch_bucket"), by_bucket),
            )
        )
        .with_panel(
            graph(
                "Stages of a job, mean",
                "Seconds that a job spends in each stage: decode, autoencoder, denoising, encode.",
                units.Seconds,
                Query(
                    ratio(
                        total(rate(of_workers(f"{STAGE}_sum")), "stage"),
                        total(rate(of_workers(f"{STAGE}_count")), "stage"),
                    ),
                    "{{stage}}",
                ),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Steps by worker",
                "Denoising steps of the whole batch.",
                STEPS_UNIT,
                Query(total(STEPS, "instance"), "{{instance}}"),
                span=HALF,
            )
        )
        .with_panel(
            graph(
                "Work by worker",
                "Denoising steps of single crops: steps times batch size.",
                ITEM_STEPS_UNIT,
                Query(total(ITEM_STEPS, "instance"), "{{instance}}"),
                span=HALF,
                stacked=True,
            )
        )
    )

"""The dashboard Resources: memory and processor of the queue, the devices and the processes; what runs where."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import units

from scripts.dashboards.alert_limits import alert_limit
from scripts.dashboards.frame import framed
from scripts.dashboards.panels import Limit, Query, graph, number, table
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

REDIS = "inpaint_redis_memory_bytes"
USED, MOST = (largest(of_edges(REDIS, f'kind="{kind}"')) for kind in ("used", "max"))
OUT_OF_MEMORY = "inpaint_oom_total"
STARTS = f"changes({of_all('process_start_time_seconds')}[$__range])"
SERVE_RESTARTS = f"increase({of_edges('inpaint_worker_restarts_total')}[$__range])"
BACKENDS = of_workers("inpaint_backend_info", 'model=~"$model"')


def board() -> Dashboard:
    """The whole dashboard."""
    about = "What the service runs on. A `moebius serve` does not tell processor, memory and files of its processes."
    return _processes(_memory(_numbers(framed("resources", "Resources", about))))


def _numbers(board: Dashboard) -> Dashboard:
    """The first row: six numbers."""
    return (
        board.with_panel(
            number(
                "Queue's memory",
                "Part of its server's maxmemory. Jobs are refused from 70 % on, so that results still fit.",
                units.PercentUnit,
                ratio(USED, MOST),
                limit=Limit(alert_limit("InpaintRedisMemory")),
            )
        )
        .with_panel(
            number(
                "Edges up", "Edges that answered the last scrape.", units.Short, or_zero(total(_up("$edge")))
            )
        )
        .with_panel(
            number(
                "Workers up",
                "Workers that answered the last scrape.",
                units.Short,
                or_zero(total(_up("$worker"))),
            )
        )
        .with_panel(
            number(
                "Restarts",
                "Processes that started anew in the chosen time.",
                units.Short,
                f"({or_zero(total(STARTS))}) + ({or_zero(total(SERVE_RESTARTS))})",
                decimals=0,
            )
        )
        .with_panel(
            number(
                "Out of memory",
                "Batches in the chosen time that a device had no memory for.",
                units.Short,
                f"sum(increase({of_workers(OUT_OF_MEMORY)}[$__range]))",
                limit=Limit(1),
                decimals=0,
            )
        )
        .with_panel(
            number(
                "Models",
                "Different models that workers have loaded.",
                units.Short,
                f"count(count by (model) ({BACKENDS}))",
            )
        )
    )


def _up(instances: str) -> str:
    return f'up{{job=~"$job", instance=~"{instances}"}}'


def _memory(board: Dashboard) -> Dashboard:
    """The queue's server and the devices."""
    return (
        board.with_panel(
            graph(
                "Memory of the queue's server",
                "Pictures, results and the jobs themselves.",
                units.BytesIEC,
                Query(USED, "used"),
                Query(MOST, "maxmemory"),
            )
        )
        .with_panel(
            graph(
                "Commands that the queue did not answer",
                "By the operation that failed; each is tried again where that is safe.",
                "suffix: errors/s",
                Query(or_zero(total(rate(of_all("inpaint_redis_errors_total")), "op"), "op"), "{{op}}"),
                stacked=True,
                limit=Limit(alert_limit("InpaintRedisErrors")),
            )
        )
        .with_panel(
            graph(
                "Memory of the devices",
                "As the backend tells it, by kind; 0 where it can't: ONNX Runtime, and every CPU.",
                units.BytesIEC,
                Query(
                    f"{total(of_workers('inpaint_gpu_memory_bytes'), 'instance', 'kind')}"
                    f" or on (instance) 0 * {total(of_workers('inpaint_gpu_busy_seconds_total'), 'instance')}",
                    "{{instance}} {{kind}}",
                ),
            )
        )
    )


def _processes(board: Dashboard) -> Dashboard:
    """Edges and workers as processes."""
    name = "{{job}} {{instance}}"
    return (
        board.with_panel(
            graph(
                "Processor",
                "Cores that each process keeps busy.",
                "suffix: cores",
                Query(rate(of_all("process_cpu_seconds_total")), name),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Resident memory",
                "Of each process, without a device's own.",
                units.BytesIEC,
                Query(of_all("process_resident_memory_bytes"), name),
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Open files",
                "Sockets count. A line that only climbs is a leak.",
                units.Short,
                Query(of_all("process_open_fds"), name),
            )
        )
        .with_panel(
            graph(
                "Time since the start",
                "Of each process. A line that falls to 0 is a restart.",
                units.Seconds,
                Query(f"time() - {of_all('process_start_time_seconds')}", name),
            )
        )
        .with_panel(
            graph(
                "Batches without memory",
                "The worker halves its batch once, then exits and is started again.",
                units.Short,
                Query(total(increase(of_workers(OUT_OF_MEMORY)), "instance"), "{{instance}}"),
            )
        )
        .with_panel(
            graph(
                "Answers to scrapes",
                "1 as long as Prometheus reaches the process.",
                units.Short,
                Query(_up("$edge|$worker"), name),
            )
        )
        .with_panel(
            table(
                "What runs where",
                "Each model that a worker has loaded: by which backend, in which precision, the digest of its files.",
                f"{total(BACKENDS, 'instance', 'model', 'backend', 'precision', 'model_sha')}",
                *("instance", "model", "backend", "precision", "model_sha"),
            )
        )
    )

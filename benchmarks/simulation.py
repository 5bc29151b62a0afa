"""A fleet of 1 to 1,000 workers in simulated time, on measured and modelled step times: load against latency.

With a GPU's own curves (curves.py): `python -m benchmarks simulation --curves FOLDER/curves.json --first NAME`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Literal

from benchmarks import gpu_model
from benchmarks.curves import load_curves
from benchmarks.fleet.capacity import requests_a_second, seconds_alone
from benchmarks.fleet.run import Claimer, Observed, Plant, simulate
from benchmarks.fleet.timing import Failures, Timing
from benchmarks.fleet.workload import STEADY, Bursts, Mix, draw_requests
from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Percentiles
from benchmarks.simulation_plot import draw
from benchmarks.tables import heading, table
from service.worker.profile import BatchProfile
from service.worker.scheduler import Limits

__all__ = ["add_options", "draw", "markdown", "measure"]

Batching = Literal["step", "request"]
WORKERS = (1, 10, 100, 1000)
LOADS = (0.5, 0.6, 0.7, 0.8, 0.9)
CURVES = Path(__file__).resolve().parent / "results" / "curves.json"
CROPS = ((1, 0.85), (2, 0.10), (4, 0.05))
STEPS_OF_DEFAULT = (
    (0.5, 0.1),
    (1.0, 0.8),
    (2.0, 0.1),
)  # multiples of the model's own, where a request may choose
BATCH_SHARE = 0.2
CLIENTS = 50
BURSTS = Bursts(factor=2.0, share=0.1, seconds=5.0)
FAILURES = Failures(mean_seconds=600.0)
WARM_UP_ALONE = 10  # times what one request takes alone
COUNTED_ALONE = 30
FEWEST_REQUESTS = 2000
CYCLES = 10  # of bursts, or of failures of the fleet, in a run that has them
TIMING = Timing()


@dataclass(frozen=True, slots=True)
class Cell:
    """One run. `kind` tells what is different from the plain one."""

    curve: str
    workers: int
    load: float
    batching: Batching = "step"
    kind: Literal["plain", "bursts", "failures", "emptiest"] = "plain"


@dataclass(frozen=True, slots=True)
class SimulationRow:
    """What a run showed. Seconds; `slowdown` is p95 of requests of one crop over `alone`; shares of 1; `claims` are
    scripts a job that workers sent because one had come; `batches` are steps by batch size.
    """

    cell: Cell
    requests: int
    rate: float
    throughput: float
    latency: Percentiles
    wait: Percentiles
    alone: float
    slowdown: float
    busy: float
    mean_batch: float
    batches: dict[int, int]
    claims: float
    refused: int
    redelivered: int
    dead_lettered: int
    took: float


@dataclass(frozen=True)
class SimulationReport:
    """All runs, and on what they ran."""

    hardware: str
    places: dict[str, int]
    rows: list[SimulationRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--curves", type=Path, default=CURVES, help="a curves.json of the benchmark curves")
    parser.add_argument(
        "--first",
        default=gpu_model.MIDDLE.name,
        help="the curve that is run at every load: one of curves.json, say",
    )
    parser.add_argument("--processes", type=int, default=usable_cores(), help="runs at the same time")


def measure(options: argparse.Namespace) -> SimulationReport:
    """Every cell, the longest first."""
    hardware = hardware_line()
    profiles = profiles_of(options.curves, options.first)
    cells = sorted(cells_of(profiles), key=lambda cell: cell.workers, reverse=True)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        tasks = [(cell, pool.submit(run, cell, profiles[cell.curve])) for cell in cells]
        rows = {cell: task.result() for cell, task in tasks}
    places = {name: profile.cap for name, profile in profiles.items()}
    return SimulationReport(hardware, places, [rows[cell] for cell in cells_of(profiles)])


def profiles_of(path: Path, first: str) -> dict[str, BatchProfile]:
    """The modelled and the measured curves, that with the name `first` before the others. SystemExit where there is
    none of that name.
    """
    profiles = {model.name: model.profile() for model in gpu_model.MODELS} | load_curves(path)
    if first not in profiles:
        raise SystemExit(f"There is no curve {first!r}. There are: {'; '.join(profiles)}.")
    return {first: profiles[first], **profiles}


def cells_of(profiles: dict[str, BatchProfile]) -> Iterator[Cell]:
    """The first curve at every load under both batchings, and with what may happen; the others at 80 %."""
    first, *others = profiles
    for workers in WORKERS:
        for load in LOADS:
            for batching in ("step", "request"):
                yield Cell(first, workers, load, batching)
    for workers in WORKERS[:-1]:
        yield Cell(first, workers, 0.7, kind="bursts")
        yield Cell(first, workers, 0.7, kind="failures")
    for workers in WORKERS[1:-1]:
        for load in LOADS:
            yield Cell(first, workers, load, kind="emptiest")
    for name in others:
        for workers in WORKERS:
            yield Cell(name, workers, 0.8)
            if workers < WORKERS[-1]:
                yield Cell(name, workers, 0.8, "request")


def mix_of(profile: BatchProfile) -> Mix:
    """What requests ask of a model: a few-step one is always asked for its own steps."""
    shares = ((1.0, 1.0),) if profile.distilled else STEPS_OF_DEFAULT
    steps = tuple((round(multiple * profile.steps), share) for multiple, share in shares)
    return Mix(CROPS, steps, BATCH_SHARE, CLIENTS)


def run(cell: Cell, profile: BatchProfile) -> SimulationRow:
    """One run; deterministic but for `took`."""
    mix = mix_of(profile)
    alone = seconds_alone(profile, profile.steps, TIMING)
    rate = cell.load * cell.workers * requests_a_second(profile, mix, TIMING.turn_seconds)
    warm_up = WARM_UP_ALONE * alone
    counted = max(COUNTED_ALONE * alone, FEWEST_REQUESTS / rate)
    if cell.kind == "bursts":
        counted = max(counted, CYCLES * BURSTS.seconds / BURSTS.share)
    if cell.kind == "failures":
        counted = max(counted, CYCLES * FAILURES.mean_seconds / cell.workers)
    requests = draw_requests(
        rate, warm_up + counted, mix, seed=1, bursts=BURSTS if cell.kind == "bursts" else STEADY
    )
    plant = Plant(
        cell.workers,
        profile,
        Limits(profile.cap, cell.batching),
        TIMING,
        failures=FAILURES if cell.kind == "failures" else None,
        claimer=Claimer.EMPTIEST if cell.kind == "emptiest" else Claimer.ANY,
    )
    started = perf_counter()
    observed = simulate(plant, requests, seed=2, watch_from=warm_up)
    return row_of(cell, profile, observed, rate, warm_up, perf_counter() - started)


def row_of(
    cell: Cell, profile: BatchProfile, observed: Observed, rate: float, warm_up: float, took: float
) -> SimulationRow:
    """The numbers of a run, of requests after the warm-up."""
    until = warm_up + observed.watched_seconds
    ended = [job for job in observed.jobs if job.visible_at is not None]
    counted = [job for job in ended if job.request.at >= warm_up]
    latencies = [job.latency for job in counted]
    small = [job.latency for job in counted if job.request.crops == 1 and job.request.steps == profile.steps]
    alone = seconds_alone(profile, profile.steps, TIMING)
    steps = observed.batches.total()
    return SimulationRow(
        cell=cell,
        requests=len(counted),
        rate=rate,
        throughput=sum(warm_up <= job.ended_at < until for job in ended) / observed.watched_seconds,
        latency=Percentiles.of(latencies),
        wait=Percentiles.of([job.wait for job in counted]),
        alone=alone,
        slowdown=Percentiles.of(small).p95 / alone,
        busy=observed.busy_seconds / observed.watched_seconds / cell.workers,
        mean_batch=sum(size * count for size, count in observed.batches.items()) / steps,
        batches=dict(sorted(observed.batches.items())),
        claims=observed.counts.claims / observed.counts.submitted,
        refused=observed.counts.refused,
        redelivered=observed.counts.redelivered,
        dead_lettered=observed.counts.dead_lettered,
        took=took,
    )


def markdown(report: SimulationReport, command: str) -> str:
    """The report as a table under what was assumed."""
    lines = heading("A fleet of workers, simulated", report.hardware, command)
    crops = ", ".join(f"{share:.0%} of {count}" for count, share in CROPS)
    steps = ", ".join(f"{share:.0%} x {multiple:g}" for multiple, share in STEPS_OF_DEFAULT)
    lines += [
        "The service's own scheduler, costs and profile in simulated time (simpy); the queue's rules, no server. "
        f"Crops of a request: {crops}; steps, where a request may choose: {steps} the model's own; "
        f"{BATCH_SHARE:.0%} of batch priority; {CLIENTS} clients; Poisson arrivals. "
        "Load 100 % is what full batches could do.",
        "",
        "Kinds: plain; bursts: twice the mean rate for 10 % of the time, 5 s each on average; failures: each worker "
        "dies every 10 minutes on average and is back after 30 s, leases last 15 s; emptiest: a job goes to the worker "
        "that holds fewest of those that would take it, which the service does not do, in place of whichever asks "
        "first.",
        "",
        "Wait: from the request to the first step. Slowdown: p95 of requests of one crop and the usual steps, as a "
        "multiple of such a request alone. Busy: the device's share of time. Claims: scripts a job that workers sent "
        "as it woke them, those that found nothing included.",
        "",
        "Step times of the network as published are modelled (gpu_model.py), those of the built-in models measured "
        "([curves](curves.md)). Places: "
        + "; ".join(f"{name}: {places}" for name, places in report.places.items())
        + f". One after the other the runs took {sum(row.took for row in report.rows) / 60:.0f} minutes.",
        "",
        "![load, latency, batches, claims](simulation.png)",
        "",
    ]
    titles = (
        *("step times", "kind", "workers", "load", "batching", "requests", "pictures/s", "p50 s", "p95 s"),
        *("p99 s", "wait p50 / p95 s", "slowdown", "busy", "mean batch", "claims"),
        *("refused", "redelivered", "dead letters"),
    )
    return "\n".join([*lines, *table(titles, map(_cells, report.rows))])


def _cells(row: SimulationRow) -> tuple[str, ...]:
    cell = row.cell
    return (
        *(cell.curve, cell.kind, f"{cell.workers:,}", f"{cell.load:.0%} ({row.rate:.2f}/s)", cell.batching),
        *(str(row.requests), f"{row.throughput:.2f}"),
        *(f"{seconds:.2f}" for seconds in (row.latency.p50, row.latency.p95, row.latency.p99)),
        f"{row.wait.p50:.2f} / {row.wait.p95:.2f}",
        *(f"{row.slowdown:.2f}", f"{row.busy:.0%}", f"{row.mean_batch:.2f}", f"{row.claims:.1f}"),
        *(str(row.refused), str(row.redelivered), str(row.dead_lettered)),
    )

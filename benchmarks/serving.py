"""Step batching against whole-request batching: one engine, one loop, one queue, the same Poisson arrivals.

The device is simulated (simulated.py), so that two cores can tell latencies; the built-in model on this
machine's cores tells throughput only. Latency runs from the intended arrival to the visible result.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Literal

from benchmarks.arrivals import Arrival, poisson_arrivals
from benchmarks.hardware import hardware_line
from benchmarks.ideal import ideal_latencies
from benchmarks.load import Payload, Served, serve_all
from benchmarks.measuring import Percentiles, Spread, ratios, spread_of
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import CpuClock, family, workers
from benchmarks.queue_servers import queue_server
from benchmarks.simulated import FLAT, NEAR_LINEAR, Curve
from benchmarks.tables import heading, table
from service.settings import Settings

Batching = Literal["step", "request"]
BATCHINGS: tuple[Batching, ...] = ("request", "step")
CURVES = (FLAT, NEAR_LINEAR)
LOADS = (0.5, 0.8, 0.95)
ALIKE: tuple[int, ...] = (20,)  # steps that a request draws from
MIXED: tuple[int, ...] = (10, 20, 40)
BACKLOG = 16  # pictures a place, to measure what the device can do
ON_PAPER = 20_000  # arrivals
PICTURE_SIDE = 128
MAX_BATCH = 8
WARM_UP = 5.0  # seconds whose arrivals are served but not counted: the batch fills
CPU_MODEL = "moebius-nano"
CPU_PICTURES = 12
CPU_STEPS = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """What one run is: which device, what share of its capacity, and what steps the requests draw."""

    curve: Curve
    load: float
    steps: tuple[int, ...]


CELLS = [
    *(Cell(curve, load, ALIKE) for curve in CURVES for load in LOADS),
    *(Cell(curve, 0.8, MIXED) for curve in CURVES),
]


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds of the counted requests, throughput in pictures a second, and busy cores."""

    latency: Percentiles
    throughput: float
    requests: int
    our_cores: float
    machine_cores: float


@dataclass(frozen=True, slots=True)
class Row:
    """All rounds of one cell under one batching. `p95_ratio` compares with whole requests, round by round;
    `ideal_ratio` does so for a device that costs nothing but its steps (ideal.py).
    """

    curve: str
    load: float
    steps: tuple[int, ...]
    rate: float
    batching: Batching
    p50: Spread
    p95: Spread
    p99: Spread
    throughput: Spread
    requests: int
    our_cores: float
    machine_cores: float
    p95_ratio: Spread
    ideal_ratio: float


@dataclass(frozen=True)
class ServingReport:
    """All that was measured, and on what."""

    hardware: str
    rounds: int
    seconds: float
    rows: list[Row]
    cpu_model: str
    cpu_throughput: dict[str, Spread]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=3, help="of each cell, each with arrivals of its own")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of arrivals; twice that where steps grow"
    )
    parser.add_argument("--cpu-rounds", type=int, default=2, help="of the built-in model on the CPU; 0: none")


def measure(options: argparse.Namespace) -> ServingReport:
    """Every cell under both batchings."""
    hardware = hardware_line()
    rates = {
        (curve, steps): pictures_per_second(curve, steps) for curve in CURVES for steps in (ALIKE, MIXED)
    }
    runs: dict[tuple[Cell, Batching], list[Run]] = {}
    # Both batchings at the same time, each with processes of its own: what else the machine does meets both alike.
    with ProcessPoolExecutor(len(BATCHINGS), mp_context=get_context("spawn")) as pool:
        for number in range(options.rounds):
            for cell in CELLS:
                rate = cell.load * rates[cell.curve, cell.steps]
                seconds = options.seconds * (2 if cell.curve.item_seconds else 1)
                tasks = {
                    batching: pool.submit(simulated_run, cell, batching, rate, seconds, number)
                    for batching in BATCHINGS
                }
                for batching, task in tasks.items():
                    runs.setdefault((cell, batching), []).append(task.result())
    rows = [
        row_of(cell, batching, cell.load * rates[cell.curve, cell.steps], runs)
        for cell in CELLS
        for batching in BATCHINGS
    ]
    cpu = cpu_throughput(options.cpu_rounds)
    return ServingReport(hardware, options.rounds, options.seconds, rows, CPU_MODEL, cpu)


def pictures_per_second(curve: Curve, steps: Sequence[int]) -> float:
    """The capacity: what step batching does with a backlog, on the device and with the server's own cost."""
    places = curve.chosen_batch(MAX_BATCH)
    arrivals = [Arrival(0.0, steps[number % len(steps)], number) for number in range(BACKLOG * places)]
    served, _ = _serve(_device(curve, "step"), arrivals, Payload(*gradient_and_hole(PICTURE_SIDE)))
    return len(served) / max(one.visible_at for one in served)


def simulated_run(cell: Cell, batching: Batching, rate: float, seconds: float, seed: int) -> Run:
    """One run on a fresh queue and a fresh worker."""
    arrivals = poisson_arrivals(rate, WARM_UP + seconds, steps=cell.steps, seed=seed)
    payload = Payload(*gradient_and_hole(PICTURE_SIDE))
    served, cores = _serve(_device(cell.curve, batching), arrivals, payload)
    return run_of(served, *cores)


def ideal_ratio(cell: Cell) -> float:
    """p95 of step batching as a multiple of that of whole requests, on paper, at the same share of capacity."""
    rate = cell.load * cell.curve.capacity(cell.steps, MAX_BATCH)
    arrivals = poisson_arrivals(rate, ON_PAPER / rate, steps=cell.steps, seed=0)
    places = cell.curve.chosen_batch(MAX_BATCH)
    step, request = (
        Percentiles.of(ideal_latencies(arrivals, cell.curve, places, whole_requests=whole)).p95
        for whole in (False, True)
    )
    return step / request


def _device(curve: Curve, batching: Batching) -> dict[str, object]:
    return {
        "backend": "dummy",
        "dummy_step_seconds": curve.step_seconds,
        "dummy_item_seconds": curve.item_seconds,
        "max_batch": MAX_BATCH,
        "batching": batching,
    }


def run_of(served: Sequence[Served], our_cores: float, machine_cores: float) -> Run:
    """What the counted requests say: those that came after the warm-up. Throughput is that of their results,
    from the warm-up's end to the last arrival.
    """
    counted = [one for one in served if one.arrival.at >= WARM_UP]
    until = max(one.arrival.at for one in served)
    finished = sum(WARM_UP <= one.visible_at < until for one in served)
    latency = Percentiles.of([one.latency for one in counted])
    return Run(latency, finished / (until - WARM_UP), len(counted), our_cores, machine_cores)


def row_of(cell: Cell, batching: Batching, rate: float, runs: dict[tuple[Cell, Batching], list[Run]]) -> Row:
    """The rounds of a cell, which had `rate` arrivals a second, together."""
    mine = runs[cell, batching]
    p95 = [run.latency.p95 for run in mine]
    return Row(
        curve=cell.curve.name,
        load=cell.load,
        steps=cell.steps,
        rate=rate,
        batching=batching,
        p50=spread_of(mine, lambda run: run.latency.p50),
        p95=Spread.of(p95),
        p99=spread_of(mine, lambda run: run.latency.p99),
        throughput=spread_of(mine, lambda run: run.throughput),
        requests=sum(run.requests for run in mine),
        our_cores=spread_of(mine, lambda run: run.our_cores).median,
        machine_cores=spread_of(mine, lambda run: run.machine_cores).median,
        p95_ratio=ratios(p95, [run.latency.p95 for run in runs[cell, "request"]]),
        ideal_ratio=ideal_ratio(cell) if batching == "step" else 1.0,
    )


def cpu_throughput(rounds: int) -> dict[str, Spread]:
    """Pictures a second of the built-in model on this machine's cores, all requests there at the start."""
    found: dict[str, list[float]] = {batching: [] for batching in BATCHINGS}
    arrivals = [Arrival(0.0, CPU_STEPS, seed) for seed in range(CPU_PICTURES)]
    for number in range(rounds):
        for batching in BATCHINGS if number % 2 else reversed(BATCHINGS):
            own = {"model": CPU_MODEL, "device": "cpu", "max_batch": MAX_BATCH, "batching": batching}
            served, _ = _serve(own, arrivals, Payload(*gradient_and_hole(PICTURE_SIDE), guidance_scale=2.0))
            found[batching].append(len(served) / max(one.visible_at for one in served))
    return {batching: Spread.of(values) for batching, values in found.items() if values}


def _serve(
    own: dict[str, object], arrivals: Sequence[Arrival], payload: Payload
) -> tuple[list[Served], tuple[float, float]]:
    with queue_server() as url, workers(url, 1, own):
        processes = family(os.getpid())
        before = CpuClock.read(processes)
        served = asyncio.run(serve_all(url, Settings(max_client_share=1), payload, arrivals))
        return served, CpuClock.read(processes).cores_since(before)


def markdown(report: ServingReport, command: str) -> str:
    """The report as tables, with what was simulated above them."""
    lines = heading("Step batching against whole-request batching", report.hardware, command)
    lines += [
        f"{report.rounds} rounds of {report.seconds:g} s (near-linear: {2 * report.seconds:g} s) of Poisson arrivals "
        f"after {WARM_UP:g} s that are not counted. Both batchings serve the same arrivals at the same time, each "
        "with a queue, a worker and a client of its own; each cell: median (least - most) of the rounds. Latency "
        "is from the intended arrival to the visible result, by the service's own queue (appendfsync always) "
        f"and worker; pictures of {PICTURE_SIDE} pixels, one crop each.",
        "",
        f"The device is simulated; a step takes: {'; '.join(curve.text() for curve in CURVES)}. Load is a share of "
        "what step batching was measured to do with a backlog. On paper: the same ratio on a device that "
        "costs nothing but its steps.",
        "",
    ]
    lines += table(
        (
            *("step time", "steps", "load", "batching", "p50 s", "p95 s", "p99 s", "pictures/s"),
            *("p95 / whole requests'", "on paper", "requests", "cores busy: this one / machine"),
        ),
        [_cells(row) for row in report.rows],
    )
    if report.cpu_throughput:
        lines += [
            f"{report.cpu_model} on the CPU, {CPU_PICTURES} pictures of {CPU_STEPS} guided steps at once:",
            "",
        ]
        rows = [(name, f"{spread.text(3)}") for name, spread in report.cpu_throughput.items()]
        lines += table(("batching", "pictures/s"), rows)
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.curve,
        ", ".join(map(str, row.steps)),
        f"{row.load:.0%} ({row.rate:.2f}/s)",
        row.batching,
        *(spread.text(2) for spread in (row.p50, row.p95, row.p99, row.throughput)),
        *((row.p95_ratio.text(2), f"{row.ideal_ratio:.2f}") if row.batching == "step" else ("1", "1")),
        str(row.requests),
        f"{row.our_cores:.2f} / {row.machine_cores:.2f}",
    )

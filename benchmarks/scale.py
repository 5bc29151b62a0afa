"""Scale-out: pictures a second with 1 to 8 worker processes on simulated devices, and the queue alone."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass

import psutil

from benchmarks.arrivals import Arrival
from benchmarks.hardware import hardware_line
from benchmarks.load import Payload, serve_all
from benchmarks.measuring import Spread, ratios
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import CpuClock, workers
from benchmarks.queue_rate import CLAIMERS, jobs_per_second
from benchmarks.queue_servers import Fsync, Kind, installed_kinds, queue_server
from benchmarks.tables import heading, table
from service.settings import Settings

COUNTS = (1, 2, 4, 8)
STEPS = 20
STEP_SECONDS = 0.05  # a picture takes a second
PLACES = 2
PICTURE_SIDE = 64
FSYNCS: tuple[Fsync, ...] = ("always", "everysec")


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """Pictures a second of `workers` processes; `times` compares with one worker, round by round."""

    workers: int
    throughput: Spread
    times: Spread
    machine_cores: float


@dataclass(frozen=True, slots=True)
class QueueRow:
    """Jobs a second through the queue alone."""

    server: Kind
    fsync: Fsync
    rate: Spread


@dataclass(frozen=True)
class ScaleReport:
    """All that was measured, and on what."""

    hardware: str
    rounds: int
    waves: int
    jobs: int
    worker_rows: list[WorkerRow]
    queue_rows: list[QueueRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=3, help="of each number of workers, and of each queue")
    parser.add_argument("--waves", type=int, default=20, help="pictures for each place of each worker")
    parser.add_argument("--jobs", type=int, default=4000, help="through the queue alone")


def measure(options: argparse.Namespace) -> ScaleReport:
    """Both tables."""
    hardware = hardware_line()
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    cores: dict[int, list[float]] = {count: [] for count in COUNTS}
    for number in range(options.rounds):
        for count in COUNTS if number % 2 else reversed(COUNTS):
            rate, busy = pictures_per_second(count, options.waves)
            rates[count].append(rate)
            cores[count].append(busy)
    worker_rows = [
        WorkerRow(
            count, Spread.of(rates[count]), ratios(rates[count], rates[1]), Spread.of(cores[count]).median
        )
        for count in COUNTS
    ]
    queue_rows = measure_queues(options.rounds, options.jobs)
    return ScaleReport(hardware, options.rounds, options.waves, options.jobs, worker_rows, queue_rows)


def pictures_per_second(count: int, waves: int) -> tuple[float, float]:
    """With all pictures waiting from the start, `waves` for each place; and the cores that the machine kept busy."""
    own = {"backend": "dummy", "dummy_step_seconds": STEP_SECONDS, "max_batch": PLACES}
    arrivals = [Arrival(0.0, STEPS, seed) for seed in range(count * PLACES * waves)]
    with queue_server() as url, workers(url, count, own) as pids:
        processes = [psutil.Process(pid) for pid in pids]
        before = CpuClock.read(processes)
        payload = Payload(*gradient_and_hole(PICTURE_SIDE))
        served = asyncio.run(serve_all(url, Settings(max_client_share=1), payload, arrivals))
        _, busy = CpuClock.read(processes).cores_since(before)
    return len(served) / max(one.visible_at for one in served), busy


def measure_queues(rounds: int, jobs: int) -> list[QueueRow]:
    """Every installed server with every fsync, in turn."""
    contenders = [(kind, fsync) for kind in installed_kinds() for fsync in FSYNCS]
    rates: dict[tuple[Kind, Fsync], list[float]] = {contender: [] for contender in contenders}
    for number in range(rounds):
        for kind, fsync in contenders if number % 2 else reversed(contenders):
            with queue_server(kind, fsync) as url:
                rates[kind, fsync].append(jobs_per_second(url, jobs))
    return [QueueRow(kind, fsync, Spread.of(rates[kind, fsync])) for kind, fsync in contenders]


def markdown(report: ScaleReport, command: str) -> str:
    """The report as tables."""
    lines = heading("Scale-out", report.hardware, command)
    lines += [
        f"{report.rounds} rounds, in turn: median (least - most).",
        "",
        f"Workers on simulated devices: {STEPS} steps of {STEP_SECONDS * 1000:g} ms, {PLACES} places each; "
        f"{report.waves} pictures for each place, all waiting from the start; queue with appendfsync always.",
        "",
    ]
    lines += table(
        ("workers", "pictures/s", "times one worker", "cores busy on the machine"),
        [
            (str(row.workers), row.throughput.text(2), row.times.text(2), f"{row.machine_cores:.2f}")
            for row in report.worker_rows
        ],
    )
    lines += [
        f"The queue alone: {report.jobs} jobs of a few bytes from submit to finish, {CLAIMERS} processes that "
        "claim one job, finish it and claim the next.",
        "",
    ]
    lines += table(
        ("server", "appendfsync", "jobs/s"),
        [(row.server, row.fsync, row.rate.text(0)) for row in report.queue_rows],
    )
    return "\n".join(lines)

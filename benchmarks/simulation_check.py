"""The simulation beside the real system: the same requests over HTTP to an edge, a queue and 1 or 2 workers.

The device is the dummy backend's, whose step takes a stated time. What the service adds is read off single requests
with nothing else to do; how it behaves under load is then the simulation's to tell.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter
from typing import Literal

import httpx
import numpy as np

from benchmarks.fleet.capacity import requests_a_second
from benchmarks.fleet.run import Plant, simulate
from benchmarks.fleet.timing import Timing
from benchmarks.fleet.workload import Mix, Request, draw_requests
from benchmarks.hardware import hardware_line
from benchmarks.measuring import Percentiles, Spread, ratios, spread_of
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import moebius, workers
from benchmarks.queue_servers import queue_server
from benchmarks.tables import heading, table
from service.contracts import Priority
from service.engine.dummy import DummyEngine
from service.settings import Settings
from service.worker.profile import BatchProfile
from service.worker.profile import measure as measure_profile
from service.worker.scheduler import Limits

Batching = Literal["step", "request"]
STEP_SECONDS, ITEM_SECONDS = 0.02, 0.01
MAX_BATCH = 8
PICTURE_SIDE = 64
MIX = Mix(crops=((1, 0.8), (2, 0.1), (4, 0.1)), steps=((20, 0.7), (10, 0.3)), batch_share=0.2)
WARM_UP = 10.0  # seconds whose requests are served but not counted
ALONE_STEPS = (5, 45)
ALONE_REQUESTS = 8  # of each number of steps
TIMEOUT = 150.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One set-up: workers, share of their capacity, batching."""

    workers: int
    load: float
    batching: Batching


CELLS = (
    Cell(1, 0.4, "step"),
    Cell(1, 0.7, "step"),
    Cell(2, 0.4, "step"),
    Cell(2, 0.7, "step"),
    Cell(1, 0.4, "request"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds from the intended arrival to the answer, and answers a second; of the counted requests."""

    mean: float
    latency: Percentiles
    throughput: float


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One cell: what the real system did, and the simulation's numbers as multiples of that, round by round."""

    cell: Cell
    rate: float
    requests: int
    real_p50: Spread
    real_p95: Spread
    real_throughput: Spread
    mean_ratio: Spread
    p50_ratio: Spread
    p95_ratio: Spread
    p99_ratio: Spread
    throughput_ratio: Spread


@dataclass(frozen=True)
class CheckReport:
    """All that was compared, and on what. `fixed_seconds` and `turn_seconds` are what the service was seen to add
    to a single request, and to each of its steps.
    """

    hardware: str
    rounds: int
    seconds: float
    fixed_seconds: float
    turn_seconds: float
    rows: list[CheckRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=3, help="of each cell, each with requests of its own")
    parser.add_argument("--seconds", type=float, default=40.0, help="of requests that count")


def measure(options: argparse.Namespace) -> CheckReport:
    """Calibrate on single requests, then compare cell by cell."""
    hardware = hardware_line()
    profile = measure_profile(DummyEngine(_settings()))
    timing = calibrated(profile)
    pairs: dict[Cell, list[tuple[Seen, Seen]]] = {cell: [] for cell in CELLS}
    counts: dict[Cell, int] = dict.fromkeys(CELLS, 0)
    for number in range(options.rounds):
        for cell in CELLS if number % 2 else reversed(CELLS):
            requests = draw_requests(rate_of(cell, profile), WARM_UP + options.seconds, MIX, seed=number)
            pairs[cell].append((real(cell, requests), simulated(cell, requests, profile, timing)))
            counts[cell] += sum(request.at >= WARM_UP for request in requests)
    fixed = timing.submit_seconds + timing.claim_seconds + timing.prepare_seconds + timing.finish_seconds
    rows = [row_of(cell, rate_of(cell, profile), counts[cell], pairs[cell]) for cell in CELLS]
    return CheckReport(hardware, options.rounds, options.seconds, fixed, timing.turn_seconds, rows)


def _settings() -> Settings:
    return Settings(
        backend="dummy",
        dummy_step_seconds=STEP_SECONDS,
        dummy_item_seconds=ITEM_SECONDS,
        max_batch=MAX_BATCH,
    )


def rate_of(cell: Cell, profile: BatchProfile) -> float:
    """Requests a second."""
    return cell.load * cell.workers * requests_a_second(profile, MIX)


@contextmanager
def stack(cell: Cell) -> Iterator[str]:
    """The address of an edge, with a queue and workers behind it."""
    own = {
        "backend": "dummy",
        "dummy_step_seconds": STEP_SECONDS,
        "dummy_item_seconds": ITEM_SECONDS,
        "max_batch": MAX_BATCH,
        "batching": cell.batching,
    }
    with queue_server() as url, workers(url, cell.workers, own):
        edge = {"redis_url": url, "port": 0, "grpc_port": 0, "max_client_share": 1}
        with moebius("edge", settings=edge, capture=True) as process:
            assert process.stdout is not None, "it was asked for"
            yield next(word for word in process.stdout.readline().split() if word.startswith("http://"))


def calibrated(profile: BatchProfile) -> Timing:
    """What the service adds to a single request and to each step, by requests of few and of many steps in turn."""
    requests = [
        Request(number, 0.0, 1, ALONE_STEPS[number % 2], Priority.INTERACTIVE, "")
        for number in range(2 + 2 * ALONE_REQUESTS)
    ]
    with stack(CELLS[0]) as url:
        seconds = asyncio.run(_one_by_one(url, requests))
    counted = list(zip(requests, seconds, strict=True))[2:]
    few, many = (
        float(np.median([took for request, took in counted if request.steps == steps]))
        for steps in ALONE_STEPS
    )
    a_step = (many - few) / (ALONE_STEPS[1] - ALONE_STEPS[0])
    device = profile.encode_seconds + profile.decode_seconds
    fixed = max(0.0, few - ALONE_STEPS[0] * a_step - device)
    return timing_of(fixed, max(0.0, a_step - profile.expected_step(1)))


def timing_of(fixed: float, turn: float) -> Timing:
    """The seconds that the service adds to a request, shared out as its own Server-Timing tells roughly: to submit
    and to claim a quarter together, to decode a quarter, to compose, encode and tell the rest.
    """
    return Timing(0.15 * fixed, 0.1 * fixed, 0.25 * fixed, 0.5 * fixed, turn)


async def _one_by_one(url: str, requests: Sequence[Request]) -> list[float]:
    async with _client(url) as client:
        seconds = []
        for request in requests:
            started = perf_counter()
            await _send(client, request)
            seconds.append(perf_counter() - started)
        return seconds


def real(cell: Cell, requests: Sequence[Request]) -> Seen:
    """Send every request at its time."""
    with stack(cell) as url:
        return seen(requests, asyncio.run(_at_their_times(url, requests)))


async def _at_their_times(url: str, requests: Sequence[Request]) -> list[float]:
    """Seconds after the start at which each was answered."""
    async with _client(url) as client:
        await _send(client, requests[0])  # connects, and lets every part load what it needs
        start = perf_counter()

        async def send(request: Request) -> float:
            await asyncio.sleep(max(0.0, start + request.at - perf_counter()))
            await _send(client, request)
            return perf_counter() - start

        return await asyncio.gather(*map(send, requests))


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT, trust_env=False)


async def _send(client: httpx.AsyncClient, request: Request) -> None:
    image, mask = gradient_and_hole(PICTURE_SIDE)
    form = {
        "seed": str(request.number),
        "steps": str(request.steps),
        "n": str(request.crops),
        "priority": request.priority.value,
        "guidance_scale": "2",
        "color_match": "false",
    }
    files = {"image": ("p.png", image), "mask": ("m.png", mask)}
    answer = await client.post("/v1/inpaint", files=files, data=form, headers={"Accept": "application/json"})
    answer.raise_for_status()


def simulated(cell: Cell, requests: Sequence[Request], profile: BatchProfile, timing: Timing) -> Seen:
    """Serve the same requests in simulated time."""
    plant = Plant(cell.workers, profile, Limits(profile.cap, cell.batching), timing)
    observed = simulate(plant, requests, seed=0)
    visible = {job.request.number: job.visible_at for job in observed.jobs}
    return seen(requests, [visible[request.number] or np.inf for request in requests])


def seen(requests: Sequence[Request], answered_at: Sequence[float]) -> Seen:
    """Of the requests after the warm-up; throughput is of answers between the warm-up and the last arrival."""
    until = requests[-1].at
    latencies = [
        at - request.at for request, at in zip(requests, answered_at, strict=True) if request.at >= WARM_UP
    ]
    answered = sum(WARM_UP <= at < until for at in answered_at)
    return Seen(fmean(latencies), Percentiles.of(latencies), answered / (until - WARM_UP))


def row_of(cell: Cell, rate: float, requests: int, pairs: Sequence[tuple[Seen, Seen]]) -> CheckRow:
    """The rounds of a cell together."""
    found = [one for one, _ in pairs]
    told = [other for _, other in pairs]
    return CheckRow(
        cell=cell,
        rate=rate,
        requests=requests,
        real_p50=spread_of(found, lambda one: one.latency.p50),
        real_p95=spread_of(found, lambda one: one.latency.p95),
        real_throughput=spread_of(found, lambda one: one.throughput),
        mean_ratio=ratios([one.mean for one in told], [one.mean for one in found]),
        p50_ratio=ratios([one.latency.p50 for one in told], [one.latency.p50 for one in found]),
        p95_ratio=ratios([one.latency.p95 for one in told], [one.latency.p95 for one in found]),
        p99_ratio=ratios([one.latency.p99 for one in told], [one.latency.p99 for one in found]),
        throughput_ratio=ratios([one.throughput for one in told], [one.throughput for one in found]),
    )


def markdown(report: CheckReport, command: str) -> str:
    """The report as a table."""
    lines = heading("The simulation beside the real system", report.hardware, command)
    crops = ", ".join(f"{share:.0%} of {count}" for count, share in MIX.crops)
    steps = ", ".join(f"{share:.0%} of {count}" for count, share in MIX.steps)
    lines += [
        "The same requests over HTTP to an edge, a Valkey (appendfsync always) and worker processes, and in "
        "simulated time. The device is simulated in both: a step takes "
        f"{STEP_SECONDS * 1000:g} ms + {ITEM_SECONDS * 1000:g} ms x batch. "
        f"Poisson arrivals; candidates: {crops}; steps: {steps}; {MIX.batch_share:.0%} of batch priority. "
        f"{report.rounds} rounds of {report.seconds:g} s after {WARM_UP:g} s that are not counted: "
        "median (least - most). Load is a share of what full batches could do on paper.",
        "",
        f"Single requests with nothing else to do, in turn of {ALONE_STEPS[0]} and of {ALONE_STEPS[1]} steps, tell "
        f"what the service adds: {report.fixed_seconds * 1000:.0f} ms a request, "
        f"{report.turn_seconds * 1000:.1f} ms a step. Nothing else is fitted. "
        "Ratios: the simulation's number as a multiple of the real one's.",
        "",
    ]
    titles = (
        *("workers", "batching", "load", "requests", "real p50 s", "real p95 s", "real answers/s"),
        *("throughput", "mean", "p50", "p95", "p99"),
    )
    return "\n".join([*lines, *table(titles, map(_cells, report.rows))])


def _cells(row: CheckRow) -> tuple[str, ...]:
    shown = (row.throughput_ratio, row.mean_ratio, row.p50_ratio, row.p95_ratio, row.p99_ratio)
    return (
        str(row.cell.workers),
        row.cell.batching,
        f"{row.cell.load:.0%} ({row.rate:.2f}/s)",
        str(row.requests),
        *(spread.text(2) for spread in (row.real_p50, row.real_p95, row.real_throughput)),
        *(spread.text(2) for spread in shown),
    )

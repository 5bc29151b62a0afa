"""What the server itself costs: an engine that takes no time, from the HTTP request to its answer, less engine
and picture coding; and requests a second beside LitServe with the same engine and the same coding.
"""

from __future__ import annotations

import argparse
import base64
import json
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks.contenders import LITSERVE, Contender, litserve, litserve_python, ours, started
from benchmarks.hardware import hardware_line
from benchmarks.measuring import Percentiles, Spread, ratios, spread_of
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import CpuClock
from benchmarks.server_timing import stages_of
from benchmarks.tables import heading, table
from service.contracts import MaskPolarity, Params
from service.imaging.crop_count import crop_count
from service.imaging.decode import inspect_picture
from service.imaging.mask import decode_mask
from service.settings import Settings

PICTURE_SIDE = 64
CLIENTS = 8
FIRST = "Moebius, always, 1 worker"
WARM_UP = 20  # requests to each server before anything counts
PARAMS = {"seed": 7, "steps": 1, "guidance_scale": 1, "color_match": False}
NOT_CODING = ("queue",)  # stages of Server-Timing that are the server's own


@dataclass(frozen=True, slots=True)
class Answered:
    """Milliseconds of one request: in all, in engine and coding, and in each stage that the server tells."""

    total: float
    stages: dict[str, float]

    @property
    def coding(self) -> float:
        """Of the picture coding and the engine."""
        return sum(value for stage, value in self.stages.items() if stage not in NOT_CODING)


@dataclass(frozen=True, slots=True)
class Row:
    """One server. Milliseconds of one request at a time, `cpu` those that all its processes computed for it;
    requests a second of several clients; `times` compares that with the first server, round by round.
    """

    server: str
    total_p50: Spread
    coding_p50: Spread
    own_p50: Spread
    own_p99: Spread
    cpu: Spread
    rate: Spread
    times: Spread


@dataclass(frozen=True)
class OverheadReport:
    """All that was measured, and on what. `edge_coding` are milliseconds that our edge spends on the mask."""

    hardware: str
    rounds: int
    requests: int
    seconds: float
    edge_coding: float
    rows: list[Row]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=5, help="servers in turn in each")
    parser.add_argument(
        "--requests", type=int, default=100, help="one at a time, to each server in each round"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help=f"of {CLIENTS} clients at once")
    parser.add_argument(
        "--litserve",
        type=Path,
        default=Path("build/litserve"),
        help="environment for LitServe; made if missing",
    )


def measure(options: argparse.Namespace) -> OverheadReport:
    """All servers up at the same time, asked in turn."""
    hardware = hardware_line()
    image, mask = gradient_and_hole(PICTURE_SIDE)
    body = request_body(image, mask)
    python = litserve_python(options.litserve)
    with ExitStack() as stack:
        servers = {
            FIRST: stack.enter_context(started(ours("always", 1))),
            "Moebius, always, 2 workers": stack.enter_context(started(ours("always", 2))),
            "Moebius, everysec, 1 worker": stack.enter_context(started(ours("everysec", 1))),
            "LitServe, 1 worker": stack.enter_context(started(litserve(python, 1))),
            "LitServe, 2 workers": stack.enter_context(started(litserve(python, 2))),
        }
        for server in servers.values():
            one_at_a_time(server.url, body, WARM_UP)
        rows = compare(servers, body, options)
    edge_coding = edge_coding_milliseconds(image, mask)
    return OverheadReport(hardware, options.rounds, options.requests, options.seconds, edge_coding, rows)


def compare(servers: Mapping[str, Contender], body: bytes, options: argparse.Namespace) -> list[Row]:
    """A row for each server."""
    singly: dict[str, list[list[Answered]]] = {name: [] for name in servers}
    rates: dict[str, list[float]] = {name: [] for name in servers}
    cpu: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(options.rounds):
        for name in servers if number % 2 else reversed(list(servers)):
            server = servers[name]
            before = CpuClock.read(server.processes)
            singly[name].append(one_at_a_time(server.url, body, options.requests))
            cpu[name].append((CpuClock.read(server.processes).ours - before.ours) / options.requests * 1000)
            rates[name].append(requests_per_second(server.url, body, options.seconds))
    return [_row(name, singly[name], cpu[name], rates[name], rates[FIRST]) for name in servers]


def _row(
    name: str, rounds: list[list[Answered]], cpu: list[float], rates: list[float], first: list[float]
) -> Row:
    own = [Percentiles.of([one.total - one.coding for one in answers]) for answers in rounds]
    return Row(
        server=name,
        total_p50=spread_of(rounds, lambda answers: median(one.total for one in answers)),
        coding_p50=spread_of(rounds, lambda answers: median(one.coding for one in answers)),
        own_p50=spread_of(own, lambda percentiles: percentiles.p50),
        own_p99=spread_of(own, lambda percentiles: percentiles.p99),
        cpu=Spread.of(cpu),
        rate=Spread.of(rates),
        times=ratios(rates, first),
    )


def request_body(image: bytes, mask: bytes) -> bytes:
    """JSON with both pictures in base64, which both servers take."""
    pictures = {"image": base64.b64encode(image).decode(), "mask": base64.b64encode(mask).decode()}
    return json.dumps(pictures | PARAMS).encode()


def one_at_a_time(url: str, body: bytes, requests: int) -> list[Answered]:
    """One client that waits for each answer, on one connection."""
    connection = _connect(url)
    answers = [_ask(connection, url, body) for _ in range(requests)]
    connection.close()
    return answers


def requests_per_second(url: str, body: bytes, seconds: float) -> float:
    """Answers a second to CLIENTS clients, each sending its next request when it has its answer."""
    counts: list[int] = []
    ends = perf_counter() + seconds

    def ask_on() -> None:
        connection, count = _connect(url), 0
        while perf_counter() < ends:
            _ask(connection, url, body)
            count += 1
        connection.close()
        counts.append(count)

    threads = [threading.Thread(target=ask_on) for _ in range(CLIENTS)]
    started = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < CLIENTS:
        raise RuntimeError(f"a client of {url} has failed")
    return sum(counts) / (perf_counter() - started)


def edge_coding_milliseconds(image: bytes, mask: bytes) -> float:
    """What our edge does with the pictures before it queues them, by itself: the median of some runs."""
    settings, params = Settings(), Params.model_validate(PARAMS)
    times = []
    for _ in range(50):
        started = perf_counter()
        header = inspect_picture(image, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
        size = (header.width, header.height)
        flags = decode_mask(mask, size, MaskPolarity.WHITE, max_pixels=settings.max_pixels)
        crop_count(flags, params, 256)
        times.append((perf_counter() - started) * 1000)
    return median(times)


def _connect(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=60)


def _ask(connection: HTTPConnection, url: str, body: bytes) -> Answered:
    started = perf_counter()
    connection.request(
        "POST", urlsplit(url).path, body, {"Content-Type": "application/json", "Accept": "image/png"}
    )
    response = connection.getresponse()
    answer = response.read()
    total = (perf_counter() - started) * 1000
    if response.status != 200:
        raise RuntimeError(f"{url} answered {response.status}: {answer[:200]!r}")
    return Answered(total, stages_of(response.getheader("Server-Timing", "")))


def markdown(report: OverheadReport, command: str) -> str:
    """The report as a table, with what is compared below it."""
    lines = heading("What the server itself costs", report.hardware, command)
    lines += [
        f"{report.rounds} rounds, servers in turn: median (least - most). An engine that takes no time, PNG of "
        f"{PICTURE_SIDE} pixels in and out as JSON with base64, one step. Milliseconds: {report.requests} requests "
        f"one at a time; requests/s: {CLIENTS} clients for {report.seconds:g} s. The server's own time is all but "
        "engine, decoding and encoding as the server tells them in Server-Timing. Ours includes "
        f"{report.edge_coding:.1f} ms in which the edge decodes the mask and counts its crops, before it "
        "accepts a job.",
        "",
    ]
    lines += table(
        (
            "server",
            "in all, p50 ms",
            "coding and engine, p50 ms",
            "own, p50 ms",
            "own, p99 ms",
            "CPU ms a request",
            "requests/s",
            "times ours",
        ),
        [
            (
                row.server,
                *(
                    spread.text(1)
                    for spread in (row.total_p50, row.coding_p50, row.own_p50, row.own_p99, row.cpu, row.rate)
                ),
                row.times.text(2),
            )
            for row in report.rows
        ],
    )
    lines += [
        f"{LITSERVE} hands a request from its HTTP process to its worker in memory and forgets it when either "
        "dies. Ours writes the job and its pictures to the queue's disk before it runs (fsync under `always`), leases "
        "it to a worker, writes the result to the disk before it is told, and reads it back: any process may "
        "be killed in between.",
        "",
    ]
    return "\n".join(lines)

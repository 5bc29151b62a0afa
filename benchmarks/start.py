"""Starts of the service, each of new processes: seconds until it is ready and where they go, and memory when idle."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import psutil

from benchmarks.hardware import hardware_line
from benchmarks.measuring import Spread
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import stop
from benchmarks.resident import Resident
from benchmarks.start_log import Stage, stages_of
from benchmarks.tables import heading, table
from service.queue.embedded import EmbeddedServer
from service.settings import Settings

GOAL_SECONDS = 5.0
GOAL_EDGE_MIB = 120 * 1_000_000 / 1024**2  # 120 MB
START_TIMEOUT = 120.0
POLL = 0.005
SETTLE = 2.0  # seconds that a process is left alone before it counts as idle
REQUESTS = 20
SIDE = 512


@dataclass(frozen=True)
class StageTime:
    """One stage over the rounds, in seconds."""

    name: str
    begins: Spread
    takes: Spread


@dataclass(frozen=True)
class StartReport:
    """All that was measured, and on what. `ready` are seconds by what was started."""

    hardware: str
    model: str
    backend: str
    rounds: int
    ready: dict[str, Spread]
    stages: list[StageTime]
    memory: list[Resident]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument(
        "--rounds", type=int, default=5, help="counted rounds; one before them warms the page cache"
    )
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--backend", default="auto")


def measure(options: argparse.Namespace) -> StartReport:
    """In turn the whole service, and its two halves on a queue of ours; the memory is that of the last round."""
    hardware = hardware_line()
    own: dict[str, object] = {"model": options.model, "backend": options.backend}
    seconds: dict[str, list[float]] = {"moebius serve": [], "moebius worker": [], "moebius edge": []}
    rounds: list[list[Stage]] = []
    memory: list[Resident] = []
    for number in range(options.rounds + 1):
        whole, stages = _whole_service(own)
        worker, edge, memory = _halves(own, with_memory=number == options.rounds)
        if number > 0:
            for name, took in zip(seconds, (whole, worker, edge), strict=True):
                seconds[name].append(took)
            rounds.append(stages)
    return StartReport(
        hardware=hardware,
        model=options.model,
        backend=options.backend,
        rounds=options.rounds,
        ready={name: Spread.of(values) for name, values in seconds.items()},
        stages=stage_times(rounds),
        memory=memory,
    )


def stage_times(rounds: Sequence[Sequence[Stage]]) -> list[StageTime]:
    """Each stage over the rounds, by when it begins; one that a round lacks counts where it is."""
    names = dict.fromkeys(stage.name for stages in rounds for stage in stages)
    found = {name: [stage for stages in rounds for stage in stages if stage.name == name] for name in names}
    times = [
        StageTime(name, Spread.of([one.begins for one in of]), Spread.of([one.takes for one in of]))
        for name, of in found.items()
    ]
    return sorted(times, key=lambda time: time.begins.median)


def _whole_service(settings: Mapping[str, object]) -> tuple[float, list[Stage]]:
    """Seconds from the start of `moebius serve` to its first good /readyz, and its stages."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="moebius-start-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        own = {
            "port": port,
            "grpc_port": 0,
            "state_dir": Path(folder) / "state",
            "log_level": "debug",
            **settings,
        }
        started, clock = time.time(), time.perf_counter()
        with _started("serve", own, log) as process:
            _await(process, port, "/readyz", log)
            took = time.perf_counter() - clock
        return took, stages_of(log.read_text(encoding="utf-8").splitlines(), started)


def _halves(settings: Mapping[str, object], *, with_memory: bool) -> tuple[float, float, list[Resident]]:
    """Seconds until a worker and until an edge alone are ready, and if asked for, what each process holds."""
    with (
        tempfile.TemporaryDirectory(prefix="moebius-start-", ignore_cleanup_errors=True) as folder,
        EmbeddedServer(Path(folder) / "state") as server,
    ):
        own = {"redis_url": server.url, "log_level": "error", **settings}
        metrics_port, port = _free_port(), _free_port()
        log = Path(folder) / "log"
        clock = time.perf_counter()
        with _started("worker", {"metrics_port": metrics_port, **own}, log) as worker:
            _await(worker, metrics_port, "/readyz", log)
            of_worker, clock = time.perf_counter() - clock, time.perf_counter()
            with _started("edge", {"port": port, "grpc_port": 0, **own}, log) as edge:
                _await(edge, port, "/readyz", log)
                of_edge = time.perf_counter() - clock
                pids = {"edge": edge.pid, "worker": worker.pid, "queue server": _queue_server_pid()}
                return of_worker, of_edge, list(_memory(pids, port)) if with_memory else []


def _memory(pids: Mapping[str, int], port: int) -> Iterator[Resident]:
    time.sleep(SETTLE)
    yield from [Resident.of(pid, name, "after the start") for name, pid in pids.items()]
    image, mask = gradient_and_hole(SIDE)
    files = {"image": ("p.png", image), "mask": ("m.png", mask)}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=START_TIMEOUT, trust_env=False) as client:
        fewest = _fewest_steps(client)
        for seed in range(REQUESTS):
            data = {"seed": str(seed), "steps": str(fewest)}
            client.post("/v1/inpaint", files=files, data=data).raise_for_status()
    time.sleep(SETTLE)
    yield from [Resident.of(pid, name, f"after {REQUESTS} requests") for name, pid in pids.items()]


def _fewest_steps(client: httpx.Client) -> int:
    """That the model takes: what is held does not depend on how many there are."""
    (model,) = client.get("/v1/models").raise_for_status().json()["models"]
    steps: list[int] = model["allowed_steps"] or [1]
    return min(steps)


@contextmanager
def _started(part: str, settings: Mapping[str, object], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A new process of `moebius PART`, which writes its log into a file; told to stop at the end of the block."""
    environment = {f"MOEBIUS_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", part],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield process
    finally:
        stop(process)


def _await(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    """Return when the process answers `path` with 200. Raises RuntimeError where it ends, or never does."""
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass  # not there yet
        finally:
            connection.close()
        time.sleep(POLL)
    raise RuntimeError(f"the process was never ready:\n{log.read_text(encoding='utf-8')}")


def _queue_server_pid() -> int:
    """Of the embedded server that this process has started."""
    children = psutil.Process().children(recursive=True)
    return next(child.pid for child in children if "valkey" in child.name())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def markdown(report: StartReport, command: str) -> str:
    """The report as tables, the goals beside what they are for."""
    lines = heading("Start and memory", report.hardware, command)
    lines += [
        f"Model {report.model}, backend {report.backend}; {report.rounds} rounds of new processes, the files in the "
        "page cache; median (least - most).",
        "",
    ]
    goals = {"moebius serve": f"{GOAL_SECONDS:g}"}
    lines += table(
        ("until /readyz answers 200", "seconds", "goal"),
        [(f"`{name}`", spread.text(2), goals.get(name, "")) for name, spread in report.ready.items()],
    )
    lines += [
        "Stages of `moebius serve`; its processes work at the same time, and some stages lie within others:",
        "",
    ]
    lines += table(
        ("stage", "begins at, s", "takes, s"),
        [(stage.name, f"{stage.begins.median:.2f}", stage.takes.text(2)) for stage in report.stages],
    )
    lines += [
        f"Memory in MiB, idle for {SETTLE:g} s; the goal of an idle edge is {GOAL_EDGE_MIB:.0f} (120 MB):",
        "",
    ]
    lines += table(
        ("process", "", "resident (RSS)", "proportional (PSS)", "its own (USS)"),
        [
            (one.process, one.moment, f"{one.resident:.1f}", f"{one.proportional:.1f}", f"{one.own:.1f}")
            for one in report.memory
        ],
    )
    return "\n".join(lines)

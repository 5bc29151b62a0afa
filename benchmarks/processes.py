"""The service's processes as a benchmark starts them, and the CPU time and memory that they take."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import redis

from service.queue.keys import Shard

START_TIMEOUT = 90.0
STOP_TIMEOUT = 30.0
POLL = 0.05
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as many as the dummy's small arrays need


@contextmanager
def moebius(
    *arguments: str, settings: Mapping[str, object], capture: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """One process of the command line with these settings; told to stop at the end of the block."""
    environment = {f"MOEBIUS_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", *arguments],
        env=os.environ | ONE_THREAD | {"MOEBIUS_LOG_LEVEL": "error"} | environment,
        stdout=subprocess.PIPE if capture else subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        stop(process)


@contextmanager
def workers(url: str, count: int, settings: Mapping[str, object]) -> Iterator[list[int]]:
    """Process ids of workers on a queue, once all have registered."""
    own = {"redis_url": url, "metrics_port": 0, **settings}
    environment = {f"MOEBIUS_{name.upper()}": str(value) for name, value in own.items()}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "service.cli", "worker"],
            env=os.environ | ONE_THREAD | {"MOEBIUS_LOG_LEVEL": "error"} | environment,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(count)
    ]
    try:
        await_workers(url, count)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            stop(process)


def await_workers(url: str, count: int) -> None:
    """Return when `count` workers are registered. Raises TimeoutError."""
    until = time.monotonic() + START_TIMEOUT
    with redis.Redis.from_url(url) as connection:
        while connection.zcard(Shard().key("workers")) < count:
            if time.monotonic() >= until:
                raise TimeoutError(f"{count} workers were not ready within {START_TIMEOUT:.0f} s")
            time.sleep(POLL)


def stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and end it where it does not in time."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@dataclass(frozen=True, slots=True)
class CpuClock:
    """The CPU time of some processes and of the machine at one moment."""

    at: float
    ours: float
    machine: float

    @classmethod
    def read(cls, processes: Sequence[psutil.Process]) -> CpuClock:
        """Now."""
        spent = sum(sum(process.cpu_times()[:2]) for process in processes)
        busy = psutil.cpu_times()
        return cls(time.perf_counter(), spent, sum(busy) - busy.idle - getattr(busy, "iowait", 0.0))

    def cores_since(self, earlier: CpuClock) -> tuple[float, float]:
        """Cores that these processes, and the whole machine, kept busy on average."""
        seconds = self.at - earlier.at
        return (self.ours - earlier.ours) / seconds, (self.machine - earlier.machine) / seconds

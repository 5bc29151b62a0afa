"""Steady load on a whole service: memory of each process at the start and the end, keys that stay, answers."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import psutil
import redis

from benchmarks.arrivals import Arrival, poisson_arrivals
from benchmarks.hardware import hardware_line
from benchmarks.http_load import Outcome, send_all
from benchmarks.measuring import Percentiles
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import family, moebius
from benchmarks.simulated import Curve
from benchmarks.tables import heading, table
from service.queue.keys import STRUCTURAL, Shard

LOAD = 0.8
DEVICE = Curve("flat", 0.05, 0.0)  # a picture takes a second, so that a busy machine's cores suffice
STEPS = (20,)
MAX_BATCH = 8
RESULT_TTL = 30.0  # seconds
SETTLED_AFTER = 60.0  # seconds after which a process counts as grown up
SAMPLE_EVERY = 5.0
PICTURE_SIDE = 128
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one process in MiB: after a minute, at the end, and the slope of a line through all
    between, in MiB an hour.
    """

    process: str
    start: float
    end: float
    most: float
    slope: float


@dataclass(frozen=True)
class SoakReport:
    """All that was measured, and on what. `outcomes` counts the answers by what they were; `keys` those that are
    left, by kind, once every result's lifetime is over.
    """

    hardware: str
    minutes: float
    rate: float
    requests: int
    latency: Percentiles
    outcomes: dict[str, int]
    memory: list[Memory]
    keys: dict[str, int]
    keys_without_lifetime: list[str]
    append_only_file_mib: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--minutes", type=float, default=20.0)


def measure(options: argparse.Namespace) -> SoakReport:
    """One `moebius serve` on a simulated device, at 80 % of what that device can do."""
    hardware = hardware_line()
    rate = LOAD * DEVICE.capacity(STEPS, MAX_BATCH)
    arrivals = poisson_arrivals(rate, options.minutes * 60, steps=STEPS, seed=0)
    with _service() as (pid, url, folder):
        memories = _Memories(pid)
        outcomes = asyncio.run(_load(url, arrivals, memories))
        memories.sample()
        time.sleep(RESULT_TTL + SAMPLE_EVERY)
        with redis.Redis(unix_socket_path=str(folder / "valkey.sock")) as connection:
            keys = left_keys(connection)
            eternal = keys_without_lifetime(connection)
        size = sum(file.stat().st_size for file in folder.rglob("*.aof"))
    return SoakReport(
        hardware=hardware,
        minutes=options.minutes,
        rate=rate,
        requests=len(outcomes),
        latency=Percentiles.of([one.seconds for one in outcomes]),
        outcomes=dict(Counter(one.what for one in outcomes)),
        memory=memories.summary(),
        keys=keys,
        keys_without_lifetime=eternal,
        append_only_file_mib=size / MEBIBYTE,
    )


@contextmanager
def _service() -> Iterator[tuple[int, str, Path]]:
    """Process id and URL of a service, and the folder of its queue."""
    with (
        tempfile.TemporaryDirectory(prefix="moebius-soak-", ignore_cleanup_errors=True) as folder,
        moebius("serve", settings=_settings(Path(folder)), capture=True) as process,
    ):
        assert process.stdout is not None, "it was asked for"
        words = process.stdout.readline().split()
        yield process.pid, next(word for word in words if word.startswith("http://")), Path(folder)


def _settings(folder: Path) -> dict[str, object]:
    return {
        "backend": "dummy",
        "dummy_step_seconds": DEVICE.step_seconds,
        "dummy_item_seconds": DEVICE.item_seconds,
        "max_batch": MAX_BATCH,
        "state_dir": folder,
        "result_ttl": RESULT_TTL,
        "port": 0,
        "grpc_port": 0,
    }


async def _load(url: str, arrivals: Sequence[Arrival], memories: _Memories) -> list[Outcome]:
    sampling = asyncio.create_task(memories.sample_on())
    try:
        return await send_all(url, arrivals, *gradient_and_hole(PICTURE_SIDE))
    finally:
        sampling.cancel()


class _Memories:
    """Resident memory of a service's processes over time."""

    def __init__(self, pid: int) -> None:
        self._started = time.monotonic()
        self._processes = {role_of(process): process for process in family(pid)}
        self._samples: dict[str, list[tuple[float, float]]] = {name: [] for name in self._processes}

    async def sample_on(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_EVERY)

    def sample(self) -> None:
        """Note what each process holds now. Raises NoSuchProcess where one has died."""
        at = time.monotonic() - self._started
        for name, process in self._processes.items():
            self._samples[name].append((at, process.memory_info().rss / MEBIBYTE))

    def summary(self) -> list[Memory]:
        """A line for each process."""
        return [memory_of(name, samples) for name, samples in self._samples.items()]


def role_of(process: psutil.Process) -> str:
    """What a process of `moebius serve` is."""
    words = process.cmdline()
    if "worker" in words:
        return "worker"
    return "queue server" if any("valkey" in word for word in words[:1]) else "edge and supervisor"


def memory_of(name: str, samples: Sequence[tuple[float, float]]) -> Memory:
    """Samples are (seconds, MiB). The first minute does not count, where there is more."""
    settled = [sample for sample in samples if sample[0] >= SETTLED_AFTER] or list(samples)
    times, sizes = np.array(settled).T
    slope = float(np.polyfit(times / 3600, sizes, 1)[0]) if len(settled) > 1 else 0.0
    return Memory(name, float(sizes[0]), float(sizes[-1]), float(sizes.max()), slope)


def left_keys(connection: redis.Redis) -> dict[str, int]:
    """How many keys there are of each kind."""
    kinds = Counter(_kind(key) for key in _names(connection))
    return dict(sorted(kinds.items()))


def keys_without_lifetime(connection: redis.Redis) -> list[str]:
    """The keys that would stay for ever and are not of the structural ones."""
    return [
        name
        for name in _names(connection)
        if connection.pttl(name) < 0
        and not any(fnmatchcase(name, Shard().key(pattern)) for pattern in STRUCTURAL)
    ]


def _names(connection: redis.Redis) -> list[str]:
    return [key.decode() for key in connection.scan_iter(count=1000)]


def _kind(name: str) -> str:
    return name.removeprefix(Shard().key("")).partition(":")[0]


def job_keys(keys: dict[str, int]) -> int:
    """Of the keys by kind, those that belong to a job."""
    return sum(keys.get(kind, 0) for kind in ("job", "image", "mask", "events", "result", "key"))


def markdown(report: SoakReport, command: str) -> str:
    """The report as tables."""
    lines = heading("Soak", report.hardware, command)
    outcomes = ", ".join(f"{count} {what}" for what, count in sorted(report.outcomes.items()))
    lines += [
        f"{report.minutes:g} minutes of Poisson arrivals at {report.rate:.1f}/s, {LOAD:.0%} of a simulated device "
        f"({DEVICE.text()}, {STEPS[0]} steps), on one `moebius serve` over HTTP: synchronous calls, and in "
        "between asynchronous jobs, of which some are cancelled.",
        "",
        f"Sent {report.requests}; answered: {outcomes}. Seconds: p50 {report.latency.p50:.2f}, "
        f"p95 {report.latency.p95:.2f}, p99 {report.latency.p99:.2f}.",
        "",
    ]
    lines += table(
        ("process", "after a minute, MiB", "at the end, MiB", "most, MiB", "slope, MiB/h"),
        [
            (row.process, f"{row.start:.1f}", f"{row.end:.1f}", f"{row.most:.1f}", f"{row.slope:+.1f}")
            for row in report.memory
        ],
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.keys.items())
    lines += [
        f"{RESULT_TTL + SAMPLE_EVERY:g} s after the last answer (results live {RESULT_TTL:g} s): "
        f"{job_keys(report.keys)} keys of jobs; {len(report.keys_without_lifetime)} keys without a lifetime "
        f"beside the structural ones; in all: {kinds}. "
        f"The append-only file has {report.append_only_file_mib:.0f} MiB.",
        "",
    ]
    return "\n".join(lines)

"""The servers of the overhead benchmark, each started whole and answering at a URL: ours, and LitServe."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.processes import ONE_THREAD, START_TIMEOUT, family, moebius, workers
from benchmarks.queue_servers import Fsync, queue_server

ROOT = Path(__file__).resolve().parents[1]
LITSERVE = "litserve==0.2.19"
# What service.imaging and service.engine.dummy import, in the versions that ours runs on.
SHARED = ("numpy", "pillow", "pydantic", "pydantic-settings", "scipy")
MAX_BATCH = 8


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs: where it answers, and its processes."""

    url: str
    processes: tuple[psutil.Process, ...]


@contextmanager
def started(server: AbstractContextManager[str]) -> Iterator[Contender]:
    """A server, with all the processes that its start has begun."""
    before = family(os.getpid())
    with server as url:
        yield Contender(url, tuple(process for process in family(os.getpid()) if process not in before))


@contextmanager
def ours(fsync: Fsync, count: int) -> Iterator[str]:
    """The URL of an edge with a queue and `count` workers whose engine takes no time."""
    own = {"backend": "dummy", "max_batch": MAX_BATCH}
    with queue_server("valkey", fsync) as url, workers(url, count, own):
        edge = {"redis_url": url, "port": 0, "grpc_port": 0}
        with moebius("edge", settings=edge, capture=True) as process:
            assert process.stdout is not None, "it was asked for"
            words = process.stdout.readline().split()
            yield next(word for word in words if word.startswith("http://")) + "/v1/inpaint"


@contextmanager
def litserve(python: Path, count: int) -> Iterator[str]:
    """The URL of LitServe with `count` workers."""
    port = _free_port()
    script = Path(__file__).with_name("litserve_server.py")
    process = subprocess.Popen(
        [str(python), str(script), str(port), str(count)],
        env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_health(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/predict"
    finally:
        # Told to stop, it leaves its own processes behind.
        for one in reversed(family(process.pid)):
            one.kill()
        process.wait()


def litserve_python(folder: Path) -> Path:
    """The interpreter of an environment with LitServe in it, made where it is not there yet."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        uv = str(Path(sys.executable).with_name("uv"))
        constraints = str(ROOT / "constraints.txt")
        packages = [LITSERVE, *SHARED]
        subprocess.run(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                str(python),
                "--constraint",
                constraints,
                *packages,
            ],
            check=True,
        )
    return python


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_health(url: str) -> None:
    until = time.monotonic() + START_TIMEOUT
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < until:
            try:
                if client.get(url).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer within {START_TIMEOUT:.0f} s")

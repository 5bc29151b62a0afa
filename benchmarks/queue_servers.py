"""Queue servers to measure on: the embedded Valkey, or an installed Redis with the same options."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import redis

from service.queue.embedded import OPTIONS, EmbeddedServer

Kind = Literal["valkey", "redis"]
Fsync = Literal["always", "everysec"]
START_TIMEOUT = 20.0


def installed_kinds() -> tuple[Kind, ...]:
    """Valkey comes with us; Redis counts where its server is on the path."""
    return ("valkey", "redis") if shutil.which("redis-server") else ("valkey",)


@contextmanager
def queue_server(kind: Kind = "valkey", fsync: Fsync = "always") -> Iterator[str]:
    """The address of an empty server that ends with the block; its file is on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(prefix="moebius-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if kind == "valkey":
            with EmbeddedServer(folder) as server:
                with redis.Redis.from_url(server.url) as connection:
                    connection.config_set("appendfsync", fsync)
                yield server.url
        else:
            with _redis(folder, fsync) as url:
                yield url


@contextmanager
def _redis(folder: Path, fsync: Fsync) -> Iterator[str]:
    socket = folder / "redis.sock"
    options = OPTIONS | {"dir": str(folder), "unixsocket": str(socket), "appendfsync": fsync}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
    try:
        _await_answer(socket)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


def _await_answer(socket: Path) -> None:
    until = time.monotonic() + START_TIMEOUT
    with redis.Redis(unix_socket_path=str(socket)) as probe:
        while True:
            try:
                probe.ping()
            except redis.ConnectionError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.01)
            else:
                return

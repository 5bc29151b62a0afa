"""A real `moebius serve` in a process group of its own, and a look at what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import psutil

PATIENCE = 180.0  # seconds; a bound for broken code on a busy machine, never waited for
READY = re.compile(r"ready at (http://\S+)")
GRPC_PORT = re.compile(r"gRPC at \S+:(\d+)\)")
LOAD_OPTIONS = ("--backend", "dummy", "--host", "127.0.0.1", "--port", "0", "--grpc-port", "0")


class Serving:
    """The process, its URL once it is ready, and everything that it ever started."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.state = folder / "state"
        self.log = folder / "log"
        self.output: list[str] = []
        self.process = self._start(options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.children: list[psutil.Process] = []

    def _start(self, options: Sequence[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "service.cli", "serve", *LOAD_OPTIONS]
        with self.log.open("w") as log:
            return subprocess.Popen(
                [*command, "--state-dir", str(self.state), *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,
                env=os.environ | {"TMPDIR": str(self.temporary)},
            )

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.output.extend(iter(self.process.stdout.readline, ""))

    def await_ready(self) -> str:
        """The URL; remembers the children."""
        until(lambda: self._url() is not None or self.process.poll() is not None)
        url = self._url()
        assert url is not None, self.log.read_text()
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        return url

    def _url(self) -> str | None:
        found = READY.search("".join(self.output))
        return found[1] if found else None

    def grpc_port(self) -> str:
        """The port of gRPC, once it is ready."""
        found = GRPC_PORT.search("".join(self.output))
        assert found is not None, self.output
        return found[1]

    def workers(self) -> list[psutil.Process]:
        """The workers' processes now."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if is_alive(child) and "worker" in child.cmdline()]

    def worker(self) -> psutil.Process:
        """The only worker's process now."""
        (worker,) = self.workers()
        return worker

    def end(self) -> int:
        """Wait for the end; the exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def leftovers(self) -> list[str]:
        """What should not be there after the end: processes, sockets, temporary files."""
        alive = [str(child) for child in self.children if is_alive(child)]
        files = [str(path) for path in self.temporary.rglob("*")]
        sockets = [str(path) for path in self.state.rglob("*") if path.is_socket()]
        return alive + files + sockets


def is_alive(process: psutil.Process) -> bool:
    """A zombie is dead; only its parent has not looked yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool]) -> None:
    """Poll `condition` until it holds."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "the condition never held"
        threading.Event().wait(0.02)


@contextmanager
def serving(*options: str) -> Iterator[Serving]:
    """A service that is gone at the end of the block, whatever the test did."""
    # Not below pytest's own folder: the path of a unix socket is limited to about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="mb-") as folder:
        service = Serving(Path(folder), *options)
        try:
            yield service
        finally:
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGKILL)
                service.process.wait()
            until(lambda: not any(map(is_alive, service.children)))
            assert service.process.stdout is not None
            service._reader.join(PATIENCE)
            service.process.stdout.close()

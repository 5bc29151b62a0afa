"""Real processes that a test may kill, stop and continue: a worker with a faulty engine, and an edge."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from service.queue import launch
from service.settings import Settings
from service.supervisor import code_environment, settings_environment
from tests.faults import worker_main
from tests.faults.polling import PATIENCE, until

OWN_PORT = re.compile(r'"url": ?"(http://[^"]+)"')
LISTENS = re.compile(r"listens at (http://\S+)")


class FaultProcess:
    """A process that ends with the test run at the latest. Start it from the main thread."""

    def __init__(self, folder: Path, settings: Settings, command: Sequence[str]) -> None:
        self.folder = folder
        self.settings = settings
        self._command = command
        self._environment: dict[str, str] = {"OMP_NUM_THREADS": "1"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it and those before it have written."""
        return (self.folder / "log").read_text()

    @property
    def pid(self) -> int:
        """Its process id; the launcher has become the process itself."""
        return self._running.pid

    @property
    def ended(self) -> bool:
        """Whether it does not run."""
        return self._running.poll() is not None

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was never started"
        return self._process

    def start(self) -> None:
        """Start it; it comes up on its own time."""
        environment = code_environment() | settings_environment(self.settings) | self._environment
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", launch.__file__, str(os.getpid()), sys.executable, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def status(self) -> int:
        """Its exit status, once it has ended."""
        return self._running.wait(PATIENCE)


class WorkerProcess(FaultProcess):
    """A worker. Its engine waits at the gate while that is shut, from its step `gate_at` on."""

    def __init__(self, folder: Path, settings: Settings, gate_at: int = 2) -> None:
        super().__init__(folder, settings, [worker_main.__file__])
        self._environment |= {"FAULTS": str(folder), "GATE_AT": str(gate_at)}

    def shut_gate(self) -> None:
        """Keep its steps from going on, from now on."""
        (self.folder / "reached").unlink(missing_ok=True)
        (self.folder / "gate").touch()

    def open_gate(self) -> None:
        """Let its steps go on."""
        (self.folder / "gate").unlink()

    @property
    def at_gate(self) -> bool:
        """Whether a step of it has come to the gate since it was shut."""
        return (self.folder / "reached").exists()

    @property
    def deaths(self) -> list[int]:
        """How many items were in the batch at each death of poison."""
        path = self.folder / "deaths"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    @property
    def ready(self) -> bool:
        """Whether it takes jobs, as its own port tells."""
        return self._ask("readyz").is_success

    def metric(self, name: str) -> float:
        """A counter without labels, as its own port tells it now."""
        lines = self._ask("metrics").text.splitlines()
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        return float(line.split()[1])

    def _ask(self, route: str) -> httpx.Response:
        return httpx.get(f"{OWN_PORT.findall(self.log)[-1]}/{route}", timeout=PATIENCE)


class EdgeProcess(FaultProcess):
    """An edge, HTTP alone of interest."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        super().__init__(folder, settings, ["-P", "-m", "service.cli", "edge"])

    async def url(self) -> str:
        """Where it listens, once it does."""
        await until(lambda: self.ended or LISTENS.search(self.log) is not None)
        found = LISTENS.search(self.log)
        assert found is not None, self.log
        return found[1]

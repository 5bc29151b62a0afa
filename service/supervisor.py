"""Keeps one worker process running: starts it, starts it again when it dies, and stops it in good order.

The worker has a session of its own, so that Ctrl-C reaches us first, and the kernel ends it when we are gone.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from service import telemetry
from service.exit_codes import EXIT_HUNG, EXIT_OUT_OF_MEMORY, EXIT_UNUSABLE
from service.queue import launch
from service.settings import Settings
from service.start_stages import start_stage

logger = logging.getLogger(__name__)

WORKER = (sys.executable, "-P", "-m", "service.cli", "worker")  # -P: not what the current folder holds
CODE = Path(__file__).resolve().parent.parent  # the folder with the package that runs now
MOST_EARLY_DEATHS = 5  # in a row, before it was ever ready; then another start is of no use
FIRST_BACKOFF = 0.5  # seconds; doubled at each death
LONGEST_BACKOFF = 30.0
HEALTHY_AFTER = 60.0  # seconds of life after which a death is a new trouble, not the same one
POLL = 0.05
STOP_MARGIN = 10.0  # seconds beyond the drain time, for a step that can't be interrupted
CAUSES = {EXIT_HUNG: "its device hung", EXIT_OUT_OF_MEMORY: "its device's memory ran out"}


class WorkerSupervisor:
    """One worker process and the thread that watches it. `on_given_up` gets the reason if it can never run."""

    def __init__(
        self, settings: Settings, on_given_up: Callable[[str], None], command: Sequence[str] = WORKER
    ) -> None:
        self._settings = settings
        self._command = command
        self._on_given_up = on_given_up
        self._stopping = threading.Event()
        self._was_ready = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._stop_by = float("inf")
        self._thread = threading.Thread(target=self._watch, name="supervisor")

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the worker; it comes up on its own time."""
        self._thread.start()

    def note_ready(self) -> None:
        """Jobs are taken: from now on every death is followed by another start."""
        self._was_ready.set()

    def request_stop(self) -> None:
        """Tell the worker to drain, and go on at once; may be repeated."""
        if self._stopping.is_set():  # a worker that is told twice drains no more
            return
        self._stop_by = monotonic() + self._settings.drain_timeout + STOP_MARGIN
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()

    def stop(self, hurried: Callable[[], bool]) -> None:
        """Let the worker drain and return when it has ended; it is killed once `hurried()` or out of time."""
        self.request_stop()
        while self._thread.is_alive():
            self._thread.join(POLL)
            if self._process is not None and (hurried() or monotonic() >= self._stop_by):
                self._process.kill()

    def _watch(self) -> None:
        backoff = FIRST_BACKOFF
        deaths = 0
        while not self._stopping.is_set():
            started = monotonic()
            status = self._run_once()
            deaths += 1
            if self._stopping.is_set():
                return
            if reason := self._hopeless(status, deaths):
                self._on_given_up(reason)
                return
            backoff = FIRST_BACKOFF if monotonic() - started > HEALTHY_AFTER else backoff
            logger.warning(
                "the worker died and is started again",
                extra={
                    "model": self._settings.model,
                    "device": self._settings.device,
                    "end": _told(status),
                    "wait": backoff,
                },
            )
            if not self._stopping.wait(backoff):
                telemetry.count_worker_restart()
            backoff = min(2 * backoff, LONGEST_BACKOFF)

    def _hopeless(self, status: int | None, deaths: int) -> str | None:
        """Why another start would end the same way, or None where it may not."""
        if status == EXIT_UNUSABLE:
            return f"its worker of {self._told_work} can't run; the worker has said why above."
        if deaths >= MOST_EARLY_DEATHS and not self._was_ready.is_set():
            return (
                f"its worker of {self._told_work} died {deaths} times and was never ready; the "
                f"last one {_told(status)}. See the log above, and whether memory is short."
            )
        return None

    @property
    def _told_work(self) -> str:
        return f"{self._settings.model} on device {self._settings.device}"

    def _run_once(self) -> int | None:
        """Start a worker and wait for its end; from this thread, since its life is tied to the thread's.

        None instead of a status where the system has no room for another process.
        """
        try:
            with start_stage("worker's process"):
                process = self._process = self._spawn()
        except OSError as error:
            logger.warning("no worker could be started", extra={"error": str(error)})
            return None
        if self._stopping.is_set():  # `stop` may have looked before there was a process
            process.terminate()
        status = process.wait()
        telemetry.forget_process(process.pid)
        return status

    def _spawn(self) -> subprocess.Popen[bytes]:
        own = str(os.getpid())
        return subprocess.Popen(
            [sys.executable, "-I", str(Path(launch.__file__)), own, *self._command, "--supervisor", own],
            stdin=subprocess.DEVNULL,
            env=os.environ | code_environment() | settings_environment(self._settings),
            start_new_session=True,
        )


def _told(status: int | None) -> str:
    """How a worker ended, for a person."""
    if status is None:
        return "could not be started"
    cause = f": {CAUSES[status]}" if status in CAUSES else ""
    return f"ended with status {status}{cause}"


def code_environment() -> dict[str, str]:
    """Where a child process finds the same code as this one, whether it is installed or not."""
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{CODE}{os.pathsep}{others}" if others else str(CODE)}


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as a child process reads them, those with parts as JSON; not as arguments, where a password
    would show in `ps`.
    """
    values = settings.model_dump(mode="json", exclude_none=True)
    return {
        f"MOEBIUS_{name.upper()}": json.dumps(value) if isinstance(value, dict | list) else str(value)
        for name, value in values.items()
    }

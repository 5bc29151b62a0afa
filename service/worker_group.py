"""The workers of one `moebius serve`: which settings each process gets, and the supervisors of all of them.

Owns no process: each belongs to its supervisor.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from service.cores import core_count, format_cores, shares, usable_cores
from service.settings import Settings
from service.supervisor import WORKER, WorkerSupervisor

logger = logging.getLogger(__name__)


def worker_settings(settings: Settings) -> tuple[Settings, ...]:
    """The settings of each worker process: its own model and device, and an even share of the cores, whatever the
    device, where `threads` leaves it open. On a CPU the share is its own, where `cores` leaves that open: threads of
    two workers that meet on a core would wait for each other in every layer.
    """
    places = [(model, device) for model in settings.served_models for device in settings.worker_devices]
    threads = settings.threads
    if len(places) > 1 and threads == 0:
        threads = max(1, core_count() // len(places))
    own = {"workers": 1, "devices": "", "models": "", "threads": threads}
    return tuple(
        settings.model_copy(update={**own, "model": model, "device": device, "cores": cores})
        for (model, device), cores in zip(places, _cores_of(settings, len(places)), strict=True)
    )


def _cores_of(settings: Settings, workers: int) -> list[str]:
    """Of each worker. None has its own where there are too few, where a container's limit is on time and not on cores,
    or where a GPU computes.
    """
    cores = usable_cores()
    on_cpu = not any(device.startswith("cuda") for device in settings.worker_devices)
    if settings.cores != "auto" or workers == 1 or not on_cpu or core_count() < max(workers, len(cores)):
        return [settings.cores] * workers
    return [format_cores(share) for share in shares(cores, workers)]


class WorkerGroup:
    """All workers of a service, started and stopped together.

    A worker that can never run is left out, and the others go on. `on_given_up` gets the reasons, once, when
    none is left: from a supervisor's thread.
    """

    def __init__(
        self, settings: Settings, on_given_up: Callable[[str], None], command: Sequence[str] = WORKER
    ) -> None:
        self._on_given_up = on_given_up
        self._reasons: list[str] = []
        self._lock = threading.Lock()
        self._supervisors = [
            WorkerSupervisor(own, self._give_up, command=command) for own in worker_settings(settings)
        ]

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [pid for supervisor in self._supervisors if (pid := supervisor.worker_pid) is not None]

    def start(self) -> None:
        """Start every worker; each comes up on its own time."""
        for supervisor in self._supervisors:
            supervisor.start()

    def note_ready(self) -> None:
        """Jobs are taken: from now on a death is followed by another start, however often."""
        for supervisor in self._supervisors:
            supervisor.note_ready()

    def stop(self, hurried: Callable[[], bool]) -> None:
        """Let all workers drain at the same time and return when they have ended; see WorkerSupervisor.stop."""
        for supervisor in self._supervisors:
            supervisor.request_stop()
        for supervisor in self._supervisors:
            supervisor.stop(hurried)

    def _give_up(self, reason: str) -> None:
        with self._lock:
            self._reasons.append(reason)
            left = len(self._supervisors) - len(self._reasons)
            reasons = " ".join(dict.fromkeys(self._reasons))
        if left == 0:
            self._on_given_up(reasons)
        else:
            logger.error("a worker is given up, the others go on", extra={"reason": reason, "left": left})

"""A thread that looks at the step loop from outside: tells readiness, and ends a process whose device hangs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service import telemetry
from service.worker.pulse import Pulse

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.5  # seconds


class Watchdog:
    """`on_hung` is called once a device call has outlived every lease; it should not return to this process."""

    def __init__(self, pulse: Pulse, ready: Callable[[], bool], on_hung: Callable[[], None]) -> None:
        self._pulse = pulse
        self._ready = ready
        self._on_hung = on_hung
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; from here on the worker is not ready."""
        self._stopped.set()
        self._thread.join()
        telemetry.set_worker_ready(False)

    def _watch(self) -> None:
        telemetry.set_worker_ready(self._ready())
        was_hung = False
        while not self._stopped.wait(LOOK_EVERY):
            telemetry.set_worker_ready(self._ready())
            hung = self._pulse.hung
            if hung and was_hung:  # in a process that was itself stopped, the call gets time to come back
                logger.critical("a device call hangs; the process ends, and its jobs go to other workers")
                self._on_hung()
                return
            was_hung = hung

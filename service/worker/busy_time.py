"""How long the device was at work, for `inpaint_gpu_busy_seconds_total`, when two threads call it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from service import telemetry


class BusyTime:
    """Tells the seconds in which any call was in flight; those of two at once count once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._told_until = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """The block is one call of the device."""
        with self._lock:
            if not self._calls:
                self._told_until = perf_counter()
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                now = perf_counter()
                telemetry.add_device_busy(now - self._told_until)
                self._told_until = now
                self._calls -= 1

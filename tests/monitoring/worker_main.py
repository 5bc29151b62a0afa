"""The worker of the monitored stack: the faulty dummy engine, on a device that tells its memory as a GPU would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.engine.base import StepCoefficients
from tests.faults.worker_main import FaultyEngine, main

RESERVED = 2 * 1024**3  # bytes
BYTES_AN_ITEM = 128 * 1024**2


class EngineWithMemory(FaultyEngine):
    """Its memory follows the size of the last batch."""

    _last_batch = 0

    def step(self, states: Sequence[Any], coefficients: Sequence[StepCoefficients]) -> None:
        """Note the batch, then do what the faulty engine does."""
        self._last_batch = len(states)
        super().step(states, coefficients)

    def memory_bytes(self) -> dict[str, int]:
        """The kinds that a GPU's engine tells."""
        return {"allocated": self._last_batch * BYTES_AN_ITEM, "reserved": RESERVED}


if __name__ == "__main__":
    main(EngineWithMemory)

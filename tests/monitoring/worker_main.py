"""The worker of the monitored stack: the faulty dummy engine, on a device that tells its memory as a GPU would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.engine.base import StepCoefficients
from service.json_logs import configure_logging
from service.settings import Settings
from service.worker import process
from tests.faults.worker_main import FaultyEngine

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


def main() -> None:
    """Run until a signal or a fault."""
    settings = Settings()
    assert settings.redis_url is not None
    configure_logging(settings.log_level)
    setattr(process, "open_engine", EngineWithMemory)  # noqa: B010  # the one seam between a worker and its engine
    process.run_worker(settings, settings.redis_url)


if __name__ == "__main__":
    main()

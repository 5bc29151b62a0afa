"""A worker as its command starts it, on an engine that waits, hangs or dies where a test says so.

FAULTS names the worker's folder, which tests read and write (processes.py): while it holds `gate`, every device
call from step GATE_AT on waits, and the first to do so leaves `reached`. A poisoned picture ends the process in the
first step whose batch is full, or in its last one; `deaths` gets a line each time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.engine.base import StepCoefficients, Tile
from service.engine.dummy import DummyEngine
from service.json_logs import configure_logging
from service.settings import Settings
from service.worker import process

IMAGE_SIZE = 64
LAST_TIMESTEP = 100  # of the sampling tables: below it a row is one of the last
POLL = 0.005


class FaultyEngine(DummyEngine):
    """The dummy with the faults. Warmup and profile show it mid-grey tiles only, and those are let be."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, image_size=IMAGE_SIZE)
        self._folder = Path(os.environ["FAULTS"])
        self._gate_at = int(os.environ["GATE_AT"])
        self._steps = 0
        self._serves = False
        self._poisoned: list[Any] = []

    def encode(self, tiles: Sequence[Tile], *, with_image: bool) -> list[Any]:
        """Note which crops are poisoned."""
        encoded = super().encode(tiles, with_image=with_image)
        self._serves = self._serves or any(tile.image.any() for tile in tiles)
        self._poisoned += [crop for crop, tile in zip(encoded, tiles, strict=True) if is_poisoned(tile)]
        return encoded

    def step(self, states: Sequence[Any], coefficients: Sequence[StepCoefficients]) -> None:
        """Wait at the gate, die of poison, or do the step."""
        if self._serves:
            self._steps += 1
            if self._steps >= self._gate_at:
                self._wait_at_gate()
            self._die_of_poison(states, coefficients)
        super().step(states, coefficients)

    def _wait_at_gate(self) -> None:
        gate = self._folder / "gate"
        if gate.exists():
            (self._folder / "reached").touch()
        while gate.exists():
            time.sleep(POLL)

    def _die_of_poison(self, states: Sequence[Any], coefficients: Sequence[StepCoefficients]) -> None:
        for state, row in zip(states, coefficients, strict=True):
            if not any(state.encoded is crop for crop in self._poisoned):
                continue
            if len(states) == self._largest_batch or row.timestep < LAST_TIMESTEP:
                with (self._folder / "deaths").open("a") as deaths:
                    deaths.write(f"{len(states)}\n")
                os.kill(os.getpid(), signal.SIGKILL)


def is_poisoned(tile: Tile) -> bool:
    """Whether the crop is pure magenta."""
    red, green, blue = tile.image
    return bool(red.min() > 0.9 and green.max() < -0.9 and blue.min() > 0.9)


def main(engine: type[FaultyEngine] = FaultyEngine) -> None:
    """Run until a signal or a fault."""
    settings = Settings()
    assert settings.redis_url is not None
    configure_logging(settings.log_level)
    setattr(process, "open_engine", engine)  # noqa: B010  # the one seam between a worker and its engine
    process.run_worker(settings, settings.redis_url)


if __name__ == "__main__":
    main()

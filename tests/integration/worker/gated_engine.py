"""An engine that tests hold still between two steps, look into, and break."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.artifacts import FewStepSampling
from service.engine.base import Array, StepCoefficients, Tile
from service.engine.dummy import DummyEngine
from service.engine.latent_engine import EncodedTile, LatentState
from service.settings import Settings

IMAGE_SIZE = 64
PATIENCE = 60.0  # seconds; a bound for broken code, never waited for
MAGENTA = (255, 0, 255)


class StepGate:
    """Open at first. While it is shut, only as many steps pass as are allowed one by one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._allowed = 0

    def set(self) -> None:
        """Open it."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Shut it."""
        with self._changed:
            self._open = False

    def allow(self, steps: int) -> None:
        """Let that many more steps pass."""
        with self._changed:
            self._allowed += steps
            self._changed.notify_all()

    def wait(self) -> None:
        """Pass it, when that is possible."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._open or self._allowed > 0, PATIENCE)
            if not self._open:
                self._allowed -= 1


class GatedEngine(DummyEngine):
    """The dummy behind a gate. Its calls go through `faults` if there are some: functions by the call's name
    (encode, step, decode), called with the call's items before it runs.
    """

    def __init__(self, settings: Settings, sampling: FewStepSampling | None = None) -> None:
        super().__init__(settings, image_size=IMAGE_SIZE, sampling=sampling)
        self.gate = StepGate()
        self.painting = StepGate()
        self.stepping = threading.Event()
        self.in_step = threading.Event()
        self.batches: list[int] = []
        self.encoded: list[int] = []
        self.faults: dict[str, Callable[[Sequence[Any]], None]] = {}

    @property
    def steps(self) -> int:
        """Steps that have begun."""
        return len(self.batches)

    def encode(self, tiles: Sequence[Tile], *, with_image: bool) -> list[EncodedTile]:
        self.encoded.append(len(tiles))
        self._meet_faults("encode", tiles)
        return super().encode(tiles, with_image=with_image)

    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        self.batches.append(len(states))
        self.stepping.set()
        self.in_step.set()
        try:
            self.gate.wait()
            self._meet_faults("step", states)
            super().step(states, coefficients)
        finally:
            self.in_step.clear()

    def preview(self, state: LatentState) -> Callable[[], Array] | None:
        colors = super().preview(state)
        assert colors is not None

        def when_painting() -> Array:
            self.painting.wait()
            return colors()

        return when_painting

    def decode(self, states: Sequence[LatentState]) -> Array:
        self._meet_faults("decode", states)
        return super().decode(states)

    def _meet_faults(self, call: str, items: Sequence[Any]) -> None:
        if call in self.faults:
            self.faults[call](items)


def is_magenta(item: Tile | LatentState) -> bool:
    """Whether a crop is of a magenta picture, in whatever form."""
    red, green, blue = item.image if isinstance(item, Tile) else item.encoded.masked_latents[:3]
    known = np.abs(red) > 0.5  # the hole is grey to the network
    return bool(
        known.any() and (red[known] > 0.9).all() and (green[known] < -0.9).all() and (blue[known] > 0.9).all()
    )

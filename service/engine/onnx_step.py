"""A denoising step on a device by I/O binding: a batch is uploaded once, stays there, and is fetched when asked for.

The same code runs on every device. Nothing is known here of the network, and nothing of a schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from onnxruntime import OrtValue

from service.denoising import Array, Integers, LatentBatch, StepRows

LATENTS = tuple(field.name for field in fields(LatentBatch))
ROWS = tuple(field.name for field in fields(StepRows))
INPUTS = LATENTS + ROWS
OUTPUTS = ("x_next", "clean_next")


@dataclass(frozen=True, slots=True)
class DeviceBatch:
    """A LatentBatch in a device's memory."""

    x: OrtValue
    clean: OrtValue
    condition: OrtValue


class BoundStep:
    """A session of a step's graph, with its inputs and outputs in `memory`, a device type and number."""

    def __init__(self, session: Any, memory: tuple[str, int]) -> None:
        self._session = session
        self._memory = memory

    def place(self, batch: LatentBatch) -> Any:
        """The batch on the device."""
        return DeviceBatch(*(self._upload(getattr(batch, name)) for name in LATENTS))

    def advance(self, on_device: Any, rows: StepRows) -> Any:
        """The batch after a step; the one before it stays as it was."""
        binding = self._session.io_binding()
        for name in LATENTS:
            binding.bind_ortvalue_input(name, getattr(on_device, name))
        for name in ROWS:
            binding.bind_ortvalue_input(name, self._upload(getattr(rows, name)))
        for name in OUTPUTS:
            binding.bind_output(name, *self._memory)
        self._session.run_with_iobinding(binding)
        x, clean = binding.get_outputs()
        return DeviceBatch(x, clean, on_device.condition)

    def fetch(self, on_device: Any) -> LatentBatch:
        """The batch on the host. May be called from another thread than `advance`."""
        return LatentBatch(*(to_host(getattr(on_device, name)) for name in LATENTS))

    def _upload(self, array: Array | Integers) -> OrtValue:
        return OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), *self._memory)


def to_host(value: OrtValue) -> Array:
    """A copy; where the device is the host, the runtime's own would be its memory."""
    return np.array(value.numpy())

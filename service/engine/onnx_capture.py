"""Denoising steps as CUDA graphs: one launch for a step's hundreds of kernels, replayed on the same addresses.

A bucket of S samples has its tensors once. Its latents lie on two sides that take turns as input and output, so that a
step leaves the batch before it as it was. What would be overwritten while somebody may still ask for it is saved on
the host first. Graphs are captured while nothing else runs on the device; other shapes run without.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime import OrtValue

from service.denoising import Array, Integers, LatentBatch, StepRows
from service.engine.onnx_step import OUTPUTS, ROWS, BoundStep, to_host

SIDES = (0, 1)
GRAPH_NUMBER = "gpu_graph_id"
NO_GRAPH = "-1"

Upload = Callable[[Array | Integers], OrtValue]


@dataclass(eq=False)
class SidedBatch:
    """A batch on a side of its bucket, and on the host once it had to leave that."""

    bucket: Bucket
    side: int
    condition: Array
    saved: LatentBatch | None = None

    def on_host(self) -> LatentBatch:
        """Its values, wherever they are."""
        if self.saved is not None:
            return self.saved
        x, clean = self.bucket.latents[self.side]
        return LatentBatch(to_host(x), to_host(clean), self.condition)


@dataclass(frozen=True)
class CapturedShape:
    """What a graph reads beside the latents, and by the side that it starts from its binding and number."""

    rows: dict[str, OrtValue]
    runs: tuple[tuple[Any, str], ...]


@dataclass
class Bucket:
    """The tensors of S samples: x and clean a side, the condition of both, and the graphs by number of rows."""

    latents: tuple[tuple[OrtValue, OrtValue], ...]
    condition: OrtValue
    occupants: list[weakref.ref[SidedBatch] | None] = field(default_factory=lambda: [None, None])
    shapes: dict[int, CapturedShape] = field(default_factory=dict)

    @classmethod
    def like(cls, batch: LatentBatch, upload: Upload) -> Bucket:
        """Tensors of a batch's shapes."""
        latents = tuple((upload(np.zeros_like(batch.x)), upload(np.zeros_like(batch.clean))) for _ in SIDES)
        return cls(latents, upload(np.zeros_like(batch.condition)))

    def save(self, side: int) -> None:
        """Copy what is on a side to the host if somebody may still ask for it."""
        reference = self.occupants[side]
        occupant = reference() if reference else None
        if occupant is not None:
            occupant.saved = occupant.on_host()
        self.occupants[side] = None

    def occupy(self, side: int, condition: Array) -> SidedBatch:
        """The batch that is on a side now."""
        batch = SidedBatch(self, side, condition)
        self.occupants[side] = weakref.ref(batch)
        return batch


class CapturedStep(BoundStep):
    """A bound step that replays what `capture` was given. One thread calls `advance`; another may `fetch`."""

    def __init__(self, session: Any, memory: tuple[str, int]) -> None:
        super().__init__(session, memory)
        self._buckets: dict[int, Bucket] = {}
        self._numbers = count(1)
        self._moving = Lock()

    def capture(self, batch: LatentBatch, rows: StepRows) -> None:
        """Capture the graphs of a batch size and number of rows, one a side. Nothing else may use the device."""
        placed = self.place(batch)
        placed.bucket.shapes[len(rows.source)] = self._shape(placed.bucket, rows)
        for _ in SIDES:
            placed = self.advance(placed, rows)

    def place(self, batch: LatentBatch) -> SidedBatch:
        """The batch on the first side of its bucket; the condition is both sides', so both are cleared."""
        with self._moving:
            bucket = self._buckets.get(len(batch.x)) or Bucket.like(batch, self._upload)
            self._buckets[len(batch.x)] = bucket
            for side in SIDES:
                bucket.save(side)
            x, clean = bucket.latents[0]
            for value, array in ((x, batch.x), (clean, batch.clean), (bucket.condition, batch.condition)):
                value.update_inplace(np.ascontiguousarray(array))
            return bucket.occupy(0, batch.condition)

    def advance(self, on_device: SidedBatch, rows: StepRows) -> SidedBatch:
        """The batch after a step, on the other side."""
        batch = on_device if on_device.saved is None else self.place(on_device.saved)
        after = 1 - batch.side
        with self._moving:
            batch.bucket.save(after)
        binding, number = self._binding(batch, rows)
        options = onnxruntime.RunOptions()
        options.add_run_config_entry(GRAPH_NUMBER, number)
        self._session.run_with_iobinding(binding, options)
        return batch.bucket.occupy(after, batch.condition)

    def fetch(self, on_device: SidedBatch) -> LatentBatch:
        """The batch on the host."""
        with self._moving:
            return on_device.on_host()

    def _binding(self, batch: SidedBatch, rows: StepRows) -> tuple[Any, str]:
        shape = batch.bucket.shapes.get(len(rows.source))
        if shape is None:
            uploaded = {name: self._upload(getattr(rows, name)) for name in ROWS}
            return self._bind(batch.bucket, batch.side, uploaded), NO_GRAPH
        for name, value in shape.rows.items():
            value.update_inplace(np.ascontiguousarray(getattr(rows, name)))
        return shape.runs[batch.side]

    def _shape(self, bucket: Bucket, rows: StepRows) -> CapturedShape:
        fixed = {name: self._upload(np.array(getattr(rows, name))) for name in ROWS}
        runs = tuple((self._bind(bucket, side, fixed), str(next(self._numbers))) for side in SIDES)
        return CapturedShape(fixed, runs)

    def _bind(self, bucket: Bucket, side: int, rows: dict[str, OrtValue]) -> Any:
        binding = self._session.io_binding()
        x, clean = bucket.latents[side]
        for name, value in {"x": x, "clean": clean, "condition": bucket.condition, **rows}.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(OUTPUTS, bucket.latents[1 - side], strict=True):
            binding.bind_ortvalue_output(name, value)
        return binding

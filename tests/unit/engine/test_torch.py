"""The PyTorch backend: its precision, batches that stay where they are, and its memory; what a GPU counts is stood in
for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from service.artifacts import load_manifest
from service.denoising import LatentBatch, StepCoefficients
from service.engine.base import Tile
from service.engine.latent_engine import LatentState
from service.engine.torch import TorchEngine, choose_precision
from service.model.primitives import DeviceBatch
from service.settings import Settings


def engine_on(device: str) -> TorchEngine:
    engine = object.__new__(TorchEngine)  # no model: only the device is asked for
    vars(engine)["_networks"] = SimpleNamespace(device=torch.device(device))
    return engine


def test_a_gpu_tells_what_is_allocated_and_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100 + device.index)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200 + device.index)
    assert engine_on("cuda:3").memory_bytes() == {"allocated": 103, "reserved": 203}


def test_a_cpu_tells_nothing() -> None:
    assert engine_on("cpu").memory_bytes() == {}


@pytest.mark.parametrize(
    ("wanted", "device", "cpu", "chosen"),
    [
        ("auto", "cuda:1", {}, "fp16"),
        ("auto", "cpu", {}, "fp32"),
        ("auto", "cpu", {"avx2": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ("auto", "cpu", {"avx512_bf16": True}, "bf16"),
        ("auto", "cpu", {"amx_bf16": True}, "bf16"),
        ("fp32", "cpu", {"amx_bf16": True}, "fp32"),
        ("bf16", "cuda", {}, "bf16"),
    ],
)
def test_precision_is_what_the_device_is_fastest_in_unless_one_is_named(
    wanted: str, device: str, cpu: Mapping[str, object], chosen: str
) -> None:
    assert choose_precision(wanted, device, cpu) == chosen


class CountingEngine(TorchEngine):
    """Counts the batches that are brought to the device."""

    placed = 0

    def place(self, batch: LatentBatch) -> DeviceBatch:
        self.placed += 1
        return super().place(batch)


@pytest.fixture
def engine(small_model: Path) -> CountingEngine:
    settings = Settings(
        device="cpu", precision="fp32", model_store=small_model.parent, model=small_model.name
    )
    engine = CountingEngine(small_model, load_manifest(small_model), settings)
    engine.placed = 0  # loading proves itself by batches of its own
    return engine


def states_of(engine: TorchEngine, count: int) -> list[LatentState]:
    size = engine.info.image_size
    tile = Tile(np.zeros((3, size, size), np.float32), np.ones((size, size), np.float32))
    (encoded,) = engine.encode([tile], with_image=False)
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((count, *engine.latent_shape), dtype=np.float32)
    return [engine.begin(encoded, one, 0.0, 1.0) for one in noise]


def test_a_batch_stays_on_the_device_until_one_leaves_it(engine: CountingEngine) -> None:
    states = states_of(engine, 3)
    row = StepCoefficients(500, 0.9, -0.3, 2.0)
    for _ in range(3):
        engine.step(states, [row] * 3)
    assert engine.placed == 1
    engine.step(states[:2], [row] * 2)
    assert engine.placed == 2


def test_a_step_writes_no_batch_that_was_there_before(engine: CountingEngine) -> None:
    states = states_of(engine, 2)
    row = StepCoefficients(500, 0.9, -0.3, 2.0)
    engine.step(states, [row] * 2)
    before = states[0].placed.on_device
    kept = before.x.clone(), before.clean.clone(), before.condition.clone()
    engine.step(states, [row] * 2)
    assert states[0].placed.on_device is not before
    assert all(map(torch.equal, (before.x, before.clean, before.condition), kept))

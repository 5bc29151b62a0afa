"""PyTorch in half precision beside fp32: a prediction by its stated error, final pictures within 2/255 on average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.artifacts import load_manifest
from service.contracts import Params
from service.engine.base import Array
from service.engine.inpaint import run
from service.engine.torch import TorchEngine
from service.model.parity import relative_error
from service.probe import probe_noise
from service.settings import Settings, default_model_store
from tests.parity.test_backends import tile

BUILT_IN = default_model_store() / "moebius-nano-4step"
pytestmark = pytest.mark.slow


def open_in(precision: str, folder: Path) -> TorchEngine:
    settings = Settings.model_validate(
        {"model_store": folder.parent, "model": folder.name, "device": "cpu", "precision": precision}
    )
    return TorchEngine(folder, load_manifest(folder), settings)


def picture(engine: TorchEngine) -> Array:
    steps = engine.info.default_steps if engine.info.is_distilled else 6
    return run(engine, [tile(engine.info.image_size)], Params(steps=steps, seed=3)).fills


# `most`: norm of the difference of predictions / norm. Trained weights round less than the small model's random ones.
# fp16 is for GPUs; PyTorch computes it on CPUs, too, but so slowly that only the small model is tried.
@pytest.mark.parametrize(
    ("precision", "model", "most"),
    [("fp16", "small", 0.01), ("bf16", "small", 0.06), ("bf16", "built-in", 0.02)],
)
def test_half_precision_agrees_with_fp32(precision: str, model: str, most: float, small_model: Path) -> None:
    folder = small_model if model == "small" else BUILT_IN
    full, half = open_in("fp32", folder), open_in(precision, folder)
    assert half.info.precision == precision
    shape = load_manifest(folder).shape
    noise = relative_error(*(probe_noise(engine, shape, batch=2) for engine in (full, half)))
    assert 1e-5 < noise < most  # less would be fp32 itself
    pictures = [picture(engine) for engine in (full, half)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 2 * (2 / 255)  # pictures are in [-1, 1]

"""A toy folder of latents, as the `latents` job writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.small_model import UNET

SAMPLES = 16


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    """Two shards of eight random samples each; sample i is known by its masked latents, all i."""
    folder = tmp_path / "latents"
    folder.mkdir()
    rng = np.random.default_rng(0)
    shape = (SAMPLES // 2, 4, UNET.sample_size, UNET.sample_size)
    for index in range(2):
        numbers = np.arange(shape[0]) + index * shape[0]
        np.savez(
            folder / f"{index:04d}.npz",
            latents=rng.standard_normal(shape).astype(np.float16),
            masked_latents=np.broadcast_to(numbers[:, None, None, None], shape).astype(np.float16),
            mask=rng.random((shape[0], *shape[2:])) < 0.3,
            category=numbers % 2,
        )
    return folder

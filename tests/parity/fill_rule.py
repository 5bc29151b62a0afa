"""The golden numbers, and the rule that filled the weights behind them (tests/data/golden/README.md)."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"


def load_golden(name: str) -> dict[str, npt.NDArray[np.float32]]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def fill(network: nn.Module) -> None:
    """Overwrite every entry of a network's state dict by the rule, through the entry's name."""
    network.load_state_dict(
        {name: filled_entry(name, tuple(value.shape)) for name, value in network.state_dict().items()}
    )


def filled_entry(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    # The legacy generator is part of the rule.
    generator = np.random.RandomState(zlib.crc32(name.encode()))
    z = generator.standard_normal(math.prod(shape)).reshape(shape)
    return torch.from_numpy(_scaled(name, z).astype(np.float32))


def _scaled(name: str, z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if name.endswith("running_var"):
        return 1 + 0.1 * np.abs(z)
    if name.endswith("running_mean"):
        return 0.1 * z
    if name.endswith(("rel_pos_emb", "bias")):
        return 0.05 * z
    if name == "embedding_layer.weight":
        return z
    if z.ndim == 1:
        return 1 + 0.1 * z
    return z / math.sqrt(math.prod(z.shape[1:]))


def relative_error(got: Tensor, expected: npt.NDArray[np.float32]) -> float:
    """Norm of the difference over the norm of what was expected."""
    return float(np.linalg.norm(got.numpy() - expected) / np.linalg.norm(expected))

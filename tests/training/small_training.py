"""The `train` job on the smallest network, as a process of its own: python -m tests.training.small_training --config X.

Its trainer weighs the loss by a gradient's norm, as distillation does, so that several processes must agree on it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from torch import Tensor

from service.model.unet import MoebiusUNet
from tests.small_model import UNET
from training import diffusion
from training.__main__ import main
from training.architectures import STUDENTS
from training.diffusion import DiffusionRecipe, DiffusionTrainer

ARCHITECTURE = "moebius-nano"


def settings(**changes: object) -> dict[str, object]:
    """The loop's settings for the smallest network, but for its folders."""
    loop = {"architecture": ARCHITECTURE, "batch": 4, "sample_every": 0, "matrix_learning_rate": 0.005}
    return loop | {"vector_learning_rate": 0.003} | changes


def small_recipe(latents: Path, output: Path, **changes: object) -> DiffusionRecipe:
    """A recipe on the smallest network."""
    return DiffusionRecipe(latents=latents, output=output, **settings(**changes))  # type: ignore[arg-type]


def write_recipe(path: Path, latents: Path, output: Path, **changes: object) -> Path:
    """The same recipe as a file."""
    folders = {"latents": str(latents), "output": str(output)}
    path.write_text(yaml.safe_dump({"train": folders | settings(**changes)}))
    return path


class BalancedTrainer(DiffusionTrainer):
    """A `DiffusionTrainer` whose loss is weighted by its gradient's norm by a weight inside a block."""

    NEEDS_WEIGHT_GRADIENTS = True

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        loss, terms = super().losses(step)
        assert isinstance(self.network, MoebiusUNet)
        projection = self.network.diff_model.down_blocks[-1].get_submodule("attentions.0.proj_out")
        (gradient,) = torch.autograd.grad(loss, projection.get_parameter("weight"), retain_graph=True)
        weight = self.all_reduced(gradient).norm().sqrt()
        return loss * weight, {**terms, "a_task": weight}


if __name__ == "__main__":
    STUDENTS[ARCHITECTURE] = UNET
    diffusion.DiffusionTrainer = BalancedTrainer  # type: ignore[misc]
    torch.set_num_threads(1)
    sys.argv.insert(1, "train")
    sys.exit(main())

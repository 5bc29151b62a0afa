"""Trains a denoising network, student or teacher, on the diffusion loss alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from training.denoising import DenoisingRecipe, DenoisingTrainer
from training.noising import masked_mean_square


@dataclass(frozen=True, kw_only=True)
class DiffusionRecipe(DenoisingRecipe):
    """Settings of the sections `train` and `teacher` (recipes/nano.yaml)."""


class DiffusionTrainer(DenoisingTrainer):
    """Trains the recipe's architecture to predict the noise, or the velocity."""

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """The prediction's error on one batch."""
        batch, noised = self.draw(step)
        predicted = self.model(*self.share_inputs(batch, noised.noisy, noised.timesteps))
        target, mask = self.place("target", noised.target), self.place("mask", batch.mask)
        loss = masked_mean_square(predicted, target, mask, self.denoising.known_weight)
        return loss, {"l_task": loss}

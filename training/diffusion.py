"""Trains the U-Net to denoise latents inside a hole: v-prediction, published timesteps, noise offset and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from service.model.config import NANO
from service.model.unet import MoebiusUNet
from training.latents import LatentShards
from training.schedule import LearningRates, noise_schedule
from training.trainer import Trainer


@dataclass(frozen=True)
class DiffusionRecipe:
    """Settings of the U-Net's training (recipes/nano.yaml)."""

    latents: Path
    output: Path
    steps: int
    batch: int = 16
    matrix_learning_rate: float = 5e-3
    vector_learning_rate: float = 3e-3
    warmup: int = 20
    noise_offset: float = 0.0357
    known_weight: float = 0.1
    ema_decay: float = 0.99
    checkpoint_every: int = 50
    seed: int = 0


def token_ids(category: Tensor) -> Tensor:
    """Ids 0-9 for background, 10-19 for foreground: [B] -> [B, 10]."""
    return torch.arange(10)[None] + 10 * category[:, None]


def velocity_target(
    latents: Tensor, alphas_cumprod: Tensor, noise_offset: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(noisy latents, velocity, timesteps) of latents [B, 4, h, w]: t = floor(1000 sigmoid(z)), z normal;
    velocity = sqrt(ab) e - sqrt(1 - ab) x (Salimans & Ho 2022). `noise_offset` times one normal a sample and
    channel is added to the noise e.
    """
    timesteps = (1000 * torch.randn(len(latents)).sigmoid()).long().clamp(0, 999)
    noise = torch.randn_like(latents) + noise_offset * torch.randn(len(latents), latents.shape[1], 1, 1)
    alpha = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    return noisy, alpha.sqrt() * noise - (1 - alpha).sqrt() * latents, timesteps


def velocity_loss(predicted: Tensor, velocity: Tensor, mask: Tensor, known_weight: float) -> Tensor:
    """Mean squared error, weighted 1 in the hole and `known_weight` outside, each sample normalised by its weights,
    so that a small hole counts as much as a large one. Tensors [B, 4, h, w], mask [B, 1, h, w].
    """
    weight = mask + known_weight * (1 - mask)
    error = (predicted - velocity).square().mean(1, keepdim=True)
    return ((error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))).mean()


@torch.no_grad()
def start_quietly(network: MoebiusUNet) -> None:
    """Start every lambda block as the identity and the prediction near zero: a short run has no steps to spare on
    shrinking a BatchNorm's gain from one.
    """
    for name, parameter in network.named_parameters():
        if name.endswith("proj_out.weight"):
            parameter.zero_()
        if name.endswith("conv_out.bn2.weight"):
            parameter.fill_(0.1)


class DiffusionTrainer(Trainer[MoebiusUNet]):
    """Trains a `MoebiusUNet` on shards of latents by its recipe."""

    def __init__(self, recipe: DiffusionRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        network = MoebiusUNet(NANO)
        start_quietly(network)
        super().__init__(
            network,
            recipe.output,
            steps=recipe.steps,
            rates=LearningRates(recipe.matrix_learning_rate, recipe.vector_learning_rate, recipe.warmup),
            ema_decay=recipe.ema_decay,
            checkpoint_every=recipe.checkpoint_every,
            seed=recipe.seed,
        )
        self.shards = LatentShards(recipe.latents)
        self.alphas_cumprod = noise_schedule()

    def losses(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The velocity's error on one batch."""
        recipe = self.recipe
        batch = self.shards.batch(recipe.seed, step, recipe.batch)
        noisy, velocity, timesteps = velocity_target(batch.latents, self.alphas_cumprod, recipe.noise_offset)
        sample = torch.cat([noisy, batch.mask, batch.masked_latents], 1)  # [B, 9, h, w]
        predicted = self.network(sample, timesteps, token_ids(batch.category))
        loss = velocity_loss(predicted, velocity, batch.mask, recipe.known_weight)
        return loss, {"velocity": loss.detach()}

"""Trains the U-Net to denoise latents inside a hole: v-prediction, published timesteps, noise offset and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from service.engine.sampler import ddim_timesteps
from service.model.config import NANO
from service.model.unet import MoebiusUNet
from training.checkpoints import averaged_autoencoder
from training.latents import LatentShards
from training.loop_recipe import LoopRecipe
from training.run_log import Picture
from training.sampling import guided_ddim, picture_grid
from training.schedule import noise_schedule
from training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class DiffusionRecipe(LoopRecipe):
    """Settings of the U-Net's training (recipes/nano.yaml).

    Where `autoencoder` names the folder of its run, sample grids of the `samples` entries of a first batch are drawn in
    `sample_steps` steps.
    """

    latents: Path
    autoencoder: Path | None = None
    batch: int = 16
    matrix_learning_rate: float = 5e-3
    vector_learning_rate: float = 3e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: int = 20
    ema_decay: float = 0.99
    checkpoint_every: int = 50
    noise_offset: float = 0.0357
    known_weight: float = 0.1
    samples: int = 6
    sample_steps: int = 20
    guidance_scale: float = 2.0


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
        self.shards = LatentShards(recipe.latents)
        self.autoencoder = averaged_autoencoder(recipe.autoencoder) if recipe.autoencoder else None
        self.alphas_cumprod = noise_schedule()
        torch.manual_seed(recipe.seed)
        network = MoebiusUNet(NANO)
        start_quietly(network)
        super().__init__(network, recipe)

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """The velocity's error on one batch."""
        recipe = self.recipe
        batch = self.shards.batch(recipe.seed, step, recipe.batch)
        noisy, velocity, timesteps = velocity_target(batch.latents, self.alphas_cumprod, recipe.noise_offset)
        sample = torch.cat([noisy, batch.mask, batch.masked_latents], 1)  # [B, 9, h, w]
        predicted = self.model(
            self.share("sample", sample),
            self.share("timesteps", timesteps),
            self.share("token_ids", token_ids(batch.category)),
        )
        velocity, mask = self.share("velocity", velocity), self.share("mask", batch.mask)
        loss = velocity_loss(predicted, velocity, mask, recipe.known_weight)
        return loss, {"velocity": loss}

    def sample_grid(self, step: int) -> Picture | None:  # noqa: ARG002 - the samples are the same at every step
        """Rows of pictures: whole, with the hole, and filled by the averaged network; None without an autoencoder."""
        if self.autoencoder is None:
            return None
        recipe = self.recipe
        batch = self.shards.batch(recipe.seed, 0, recipe.samples)
        noise = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(recipe.seed))
        filled = guided_ddim(
            self.average.network,
            noise.to(self.device),
            torch.cat([batch.mask, batch.masked_latents], 1).to(self.device),  # [N, 5, h, w]
            token_ids(batch.category).to(self.device),
            token_ids(1 - batch.category).to(self.device),
            timesteps=ddim_timesteps(recipe.sample_steps),
            guidance_scale=recipe.guidance_scale,
            prediction_type="v_prediction",
        )
        with torch.no_grad():
            decoder = self.autoencoder.to(self.device)
            rows = (batch.latents, batch.masked_latents, filled)
            return picture_grid([decoder.decode(row.to(self.device)) for row in rows])

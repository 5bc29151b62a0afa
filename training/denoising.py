"""What all trainers of denoising networks share: latents, noise, the network they start from, sample grids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from service.engine.sampler import PredictionType, ddim_timesteps
from training.architectures import STUDENTS, Architecture, DenoisingNetwork, fresh_network
from training.frozen_autoencoder import frozen_autoencoder
from training.latent_source import LatentSource, open_latents
from training.latents import LatentBatch
from training.loop_recipe import LoopRecipe
from training.noising import NoisyLatents, add_noise, log_normal_timesteps, offset_noise
from training.pretrained import pretrained_student, pretrained_teacher
from training.run_log import Picture
from training.sampling import guided_ddim, picture_grid
from training.schedule import noise_schedule
from training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class DenoisingRecipe(LoopRecipe):
    """Settings of every denoising network's training; the defaults are the published ones.

    `initial` names the run or the published weights to start from. `known_weight` is the weight of the error outside
    of the hole. Where `autoencoder` names the folder of its run, sample grids of the `samples` entries of a first
    batch are drawn in `sample_steps` steps with `guidance_scale`.
    """

    latents: Path
    architecture: Architecture = "moebius"
    initial: Path | None = None
    prediction_type: PredictionType = "epsilon"
    noise_offset: float = 0.0357
    known_weight: float = 1.0
    autoencoder: Path | None = None
    samples: int = 6
    sample_steps: int = 20
    guidance_scale: float = 2.0


def token_ids(category: Tensor) -> Tensor:
    """Ids 0-9 for background, 10-19 for foreground: [B] -> [B, 10]."""
    return torch.arange(10)[None] + 10 * category[:, None]


class DenoisingTrainer(Trainer[DenoisingNetwork]):
    """A trainer of a denoising network on shards of latents; subclasses say what its loss is."""

    def __init__(self, recipe: DenoisingRecipe) -> None:
        self.denoising = recipe
        self.autoencoder = frozen_autoencoder(recipe.autoencoder) if recipe.autoencoder else None
        self.alphas_cumprod = noise_schedule()
        torch.manual_seed(recipe.seed)
        network = initial_network(recipe)
        self.source: LatentSource = open_latents(recipe.latents, latent_side=network.config.sample_size)
        super().__init__(network, recipe)

    def draw(self, step: int) -> tuple[LatentBatch, NoisyLatents]:
        """The rows of this process of one step's samples, at log-normal timesteps, with noise drawn for all rows."""
        recipe = self.denoising
        batch = self.own_batch(step)
        timesteps = log_normal_timesteps(recipe.batch)[self.rows]
        noise = offset_noise(self.whole_shape(batch), recipe.noise_offset)[self.rows]
        return batch, add_noise(batch.latents, timesteps, noise, self.alphas_cumprod, recipe.prediction_type)

    def own_batch(self, step: int) -> LatentBatch:
        """The rows of this process of one step's samples: no process reads or encodes another's."""
        return self.source.batch(self.denoising.seed, step, self.denoising.batch, self.rows)

    def whole_shape(self, batch: LatentBatch) -> Tensor:
        """A tensor of the shape of the global batch's latents, to draw noise for; it takes no memory."""
        return batch.latents.new_empty(1).expand(self.denoising.batch, *batch.latents.shape[1:])

    def share_inputs(
        self, batch: LatentBatch, noisy: Tensor, timesteps: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The rows of this process of what the network takes: sample [b, 9, h, w], timesteps [b], token ids [b, 10]."""
        return (
            self.place("sample", torch.cat([noisy, batch.mask, batch.masked_latents], 1)),
            self.place("timesteps", timesteps),
            self.place("token_ids", token_ids(batch.category)),
        )

    def sample_timesteps(self) -> tuple[int, ...]:
        """The timesteps of sample grids."""
        return ddim_timesteps(self.denoising.sample_steps)

    def sample_guidance(self) -> float:
        """The guidance scale of sample grids."""
        return self.denoising.guidance_scale

    def sample_grid(self, step: int) -> Picture | None:  # noqa: ARG002 - the samples are the same at every step
        """Rows of pictures: whole, with the hole, and filled by the averaged network; None without an autoencoder."""
        if self.autoencoder is None:
            return None
        recipe = self.denoising
        batch = self.source.batch(recipe.seed, 0, recipe.samples)
        noise = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(recipe.seed))
        filled = guided_ddim(
            self.average.network,
            noise.to(self.device),
            torch.cat([batch.mask, batch.masked_latents], 1).to(self.device),  # [N, 5, h, w]
            token_ids(batch.category).to(self.device),
            token_ids(1 - batch.category).to(self.device),
            timesteps=self.sample_timesteps(),
            guidance_scale=self.sample_guidance(),
            prediction_type=recipe.prediction_type,
        )
        with torch.no_grad():
            decoder = self.autoencoder.to(self.device)
            rows = (batch.latents, batch.masked_latents, filled)
            return picture_grid([decoder.decode(row.to(self.device)) for row in rows])


def initial_network(recipe: DenoisingRecipe) -> DenoisingNetwork:
    """The network that a run starts with: fresh, or the one in `initial`."""
    if recipe.initial is None:
        return fresh_network(recipe.architecture)
    return (pretrained_student if recipe.architecture in STUDENTS else pretrained_teacher)(recipe.initial)

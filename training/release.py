"""Turns a finished run into a model of the store: averaged weights with statistics of their own, exported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from service.artifacts import FewStepSampling
from service.engine.sampler import PredictionType
from service.model.export import Precision, export_model
from service.model.unet import MoebiusUNet
from training.checkpoints import CHECKPOINT, averaged_unet, load_checkpoint
from training.denoising import token_ids
from training.errors import RecipeError
from training.frozen_autoencoder import frozen_autoencoder
from training.latent_source import open_latents
from training.noising import add_noise, log_normal_timesteps
from training.schedule import noise_schedule


@dataclass(frozen=True)
class ReleaseRecipe:
    """Settings of the release (recipes/nano.yaml). `store` is the folder of models, `name` the model's in it.

    `timesteps` are those of a few-step model, with the `guidance_scale` that was distilled into it.
    """

    autoencoder: Path
    unet: Path
    latents: Path
    store: Path
    name: str
    source: str
    licence: str
    prediction_type: PredictionType = "epsilon"
    precision: Precision = "fp16"
    version: str = "1"
    timesteps: tuple[int, ...] = ()
    guidance_scale: float = 2.0
    statistics_batches: int = 40
    batch: int = 8
    seed: int = 3

    def sampling(self) -> FewStepSampling | None:
        """How the service samples from a few-step model; None for one of any number of steps."""
        if not self.timesteps:
            return None
        return FewStepSampling(timesteps=self.timesteps, guidance_scale=self.guidance_scale)


@torch.no_grad()
def estimate_statistics(network: MoebiusUNet, recipe: ReleaseRecipe) -> None:
    """Measure every BatchNorm's mean and variance anew: those of the run belong to the weights before averaging."""
    source = open_latents(recipe.latents, latent_side=network.config.sample_size)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    device = next(network.parameters()).device
    torch.manual_seed(recipe.seed)
    schedule = noise_schedule()
    for step in range(recipe.statistics_batches):
        batch = source.batch(recipe.seed, step, recipe.batch)
        noisy, timesteps = _noised(batch.latents, schedule, recipe.timesteps)
        sample = torch.cat([noisy, batch.mask, batch.masked_latents], 1)  # [B, 9, h, w]
        network(*(part.to(device) for part in (sample, timesteps, token_ids(batch.category))))
    for norm in norms:
        norm.momentum = 0.1
    network.eval()


def _noised(latents: Tensor, schedule: Tensor, few: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Latents [B, 4, h, w] as the network meets them, and their timesteps [B]: log-normal ones, or the few in turn,
    the first of which is noise alone.
    """
    noise = torch.randn_like(latents)
    count = len(latents)
    timesteps = torch.tensor(few).repeat(count)[:count] if few else log_normal_timesteps(count)
    noisy = add_noise(latents, timesteps, noise, schedule, "epsilon").noisy
    if few:
        noisy = torch.where((timesteps == few[0]).view(-1, 1, 1, 1), noise, noisy)
    return noisy, timesteps


def refuse_other_sampling(recipe: ReleaseRecipe) -> None:
    """Raise RecipeError where the recipe would have the service sample otherwise than the run was trained for."""
    state = load_checkpoint(recipe.unet / CHECKPOINT)
    trained = state.get("recipe", {}) if state else {}
    wanted: dict[str, object] = {"prediction_type": recipe.prediction_type}
    if "teacher_steps" in trained or recipe.timesteps:
        wanted |= {"timesteps": list(recipe.timesteps), "guidance_scale": recipe.guidance_scale}
    for name, value in wanted.items():
        if trained and trained.get(name) != value:
            raise RecipeError(f"export: {name} is {value} here and was {trained.get(name)} in {recipe.unet}")


def release(recipe: ReleaseRecipe) -> None:
    """Export the run's averaged networks into the store; the card follows when the model has been evaluated.

    Of several processes the first does it alone.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    refuse_other_sampling(recipe)
    network = averaged_unet(recipe.unet).to("cuda" if torch.cuda.is_available() else "cpu")
    estimate_statistics(network, recipe)
    folder = recipe.store / recipe.name
    export_model(
        network,
        frozen_autoencoder(recipe.autoencoder),
        folder,
        name=recipe.name,
        source=recipe.source,
        licence=recipe.licence,
        prediction_type=recipe.prediction_type,
        precision=recipe.precision,
        version=recipe.version,
        sampling=recipe.sampling(),
    )
    print(f"{folder} can be served: MOEBIUS_MODEL_STORE={recipe.store} moebius serve --model {recipe.name}")

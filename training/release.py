"""Turns a finished run into a model of the store: averaged weights with statistics of their own, exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from service.artifacts import Manifest
from service.model.export import export_model
from service.model.unet import MoebiusUNet
from training.checkpoints import averaged_autoencoder, averaged_unet
from training.denoising import token_ids
from training.latents import LatentShards
from training.noising import add_noise, log_normal_timesteps
from training.schedule import noise_schedule


@dataclass(frozen=True)
class ReleaseRecipe:
    """Settings of the release (recipes/nano.yaml). `store` is the folder of models, `name` the model's in it."""

    autoencoder: Path
    unet: Path
    latents: Path
    store: Path
    name: str
    source: str
    licence: str
    statistics_batches: int = 40
    batch: int = 8
    seed: int = 3


@torch.no_grad()
def estimate_statistics(network: MoebiusUNet, recipe: ReleaseRecipe) -> None:
    """Measure every BatchNorm's mean and variance anew: those of the run belong to the weights before averaging."""
    shards, alphas = LatentShards(recipe.latents), noise_schedule()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    torch.manual_seed(recipe.seed)
    for step in range(recipe.statistics_batches):
        batch = shards.batch(recipe.seed, step, recipe.batch)
        timesteps = log_normal_timesteps(recipe.batch)
        noised = add_noise(batch.latents, timesteps, torch.randn_like(batch.latents), alphas, "epsilon")
        sample = torch.cat([noised.noisy, batch.mask, batch.masked_latents], 1)  # [B, 9, h, w]
        network(sample, timesteps, token_ids(batch.category))
    for norm in norms:
        norm.momentum = 0.1
    network.eval()


def release(recipe: ReleaseRecipe) -> Manifest:
    """Export the run's averaged networks into the store; the card follows when the model has been evaluated."""
    network = averaged_unet(recipe.unet)
    estimate_statistics(network, recipe)
    return export_model(
        network,
        averaged_autoencoder(recipe.autoencoder),
        recipe.store / recipe.name,
        name=recipe.name,
        source=recipe.source,
        licence=recipe.licence,
        prediction_type="v_prediction",
        precision="fp16",
    )

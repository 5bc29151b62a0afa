"""Trains the small autoencoder: L1 + gradient + perceptual loss on random crops, holes cut into some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from training.features import EfficientNetFeatures, feature_distance
from training.loop_recipe import LoopRecipe
from training.losses import gradient_loss
from training.masks import MaskSampler
from training.photos import CropSampler, load_photos
from training.run_log import Picture
from training.sampling import picture_grid
from training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe(LoopRecipe):
    """Settings of the autoencoder's training (recipes/nano.yaml)."""

    photos: Path
    steps: int = 1_100
    batch: int = 8
    matrix_learning_rate: float = 2e-3
    vector_learning_rate: float = 2e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: int = 50
    ema_decay: float = 0.99
    checkpoint_every: int = 100
    side: int = 128
    perceptual_weight: float = 1.0
    gradient_weight: float = 1.0
    perceptual_stages: int = 3
    perceptual_crops: int = 4
    hole_probability: float = 0.3
    latent_noise: float = 0.15
    samples: int = 6


class NoisyReconstruction(nn.Module):
    """Encode, add noise, decode: the forward pass that the losses are taken of."""

    def __init__(self, autoencoder: NanoAutoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Pictures [B, 3, s, s] and noise [B, 4, s/8, s/8] -> pictures [B, 3, s, s]."""
        restored: Tensor = self.autoencoder.decode(self.autoencoder.encode(images) + noise)
        return restored


class AutoencoderTrainer(Trainer[NanoAutoencoder]):
    """Trains a `NanoAutoencoder` by its recipe."""

    def __init__(self, recipe: AutoencoderRecipe) -> None:
        self.recipe = recipe
        self.crops = CropSampler(load_photos(recipe.photos), recipe.side, least=0.25)
        self.masks = MaskSampler(recipe.side)
        torch.manual_seed(recipe.seed)
        network = NanoAutoencoder(NanoAutoencoderConfig()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(network, recipe)
        features = EfficientNetFeatures(recipe.perceptual_stages).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.features = features.to(self.device)

    def forward_module(self) -> nn.Module:
        """Reconstruction through noisy latents."""
        return NoisyReconstruction(self.network)

    def batch(self, step: int) -> Tensor:
        """Pictures [B, 3, s, s] in [-1, 1] of one step: a function of (seed, step) alone, so that a run can resume."""
        rng = np.random.default_rng((self.recipe.seed, step))
        pictures = []
        for _ in range(self.recipe.batch):
            picture = self.crops.draw(rng).astype(np.float32) / 127.5 - 1.0
            if rng.random() < self.recipe.hole_probability:
                picture[self.masks.draw(rng)] = 0.0
            pictures.append(picture)
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

    def latent_noise(self) -> Tensor:
        """Noise [B, 4, s/8, s/8] of one step for the global batch, each sample's of a strength of its own."""
        config, recipe = self.network.config, self.recipe
        side = recipe.side // config.downscale
        strength = recipe.latent_noise * torch.rand(recipe.batch, 1, 1, 1)
        return strength * torch.randn(recipe.batch, config.latent_channels, side, side)

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """L1, gradient and perceptual loss of one batch."""
        recipe = self.recipe
        images = self.share("images", self.batch(step))
        restored = self.model(images, self.share("noise", self.latent_noise()))
        # Evenly spread: the same crops, however many processes share the batch.
        judged = slice(None, None, max(1, recipe.batch // recipe.perceptual_crops))
        with torch.no_grad():
            wanted = self.features(images[judged])
        terms = {
            "l1": (restored - images).abs().mean(),
            "gradient": gradient_loss(restored, images),
            "perceptual": feature_distance(self.features(restored[judged]), wanted).mean(),
        }
        weighted = recipe.gradient_weight * terms["gradient"] + recipe.perceptual_weight * terms["perceptual"]
        return terms["l1"] + weighted, terms

    def sample_grid(self, step: int) -> Picture | None:  # noqa: ARG002 - the samples are the same at every step
        """Rows of crops and of what the averaged network restores of them."""
        images = self.batch(0)[: self.recipe.samples].to(self.device)
        network = self.average.network
        with torch.no_grad():
            return picture_grid([images, network.decode(network.encode(images))])

"""Trains the small autoencoder: L1 + gradient + perceptual loss on random crops, holes cut into some of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from training.features import EfficientNetFeatures, feature_distance
from training.losses import gradient_loss
from training.masks import MaskSampler
from training.photos import CropSampler, load_photos
from training.schedule import LearningRates
from training.trainer import Trainer


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Settings of the autoencoder's training (recipes/nano.yaml)."""

    photos: Path
    output: Path
    steps: int = 1_100
    batch: int = 8
    side: int = 128
    learning_rate: float = 2e-3
    warmup: int = 50
    perceptual_weight: float = 1.0
    gradient_weight: float = 1.0
    perceptual_stages: int = 3
    perceptual_crops: int = 4
    hole_probability: float = 0.3
    latent_noise: float = 0.15
    ema_decay: float = 0.99
    checkpoint_every: int = 100
    seed: int = 0


class AutoencoderTrainer(Trainer[NanoAutoencoder]):
    """Trains a `NanoAutoencoder` by its recipe."""

    def __init__(self, recipe: AutoencoderRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        super().__init__(
            NanoAutoencoder(NanoAutoencoderConfig()).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
            recipe.output,
            steps=recipe.steps,
            rates=LearningRates(recipe.learning_rate, recipe.learning_rate, recipe.warmup),
            ema_decay=recipe.ema_decay,
            checkpoint_every=recipe.checkpoint_every,
            seed=recipe.seed,
        )
        self.features = EfficientNetFeatures(recipe.perceptual_stages).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.crops = CropSampler(load_photos(recipe.photos), recipe.side, least=0.25)
        self.masks = MaskSampler(recipe.side)

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

    def losses(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """L1, gradient and perceptual loss of one batch."""
        images = self.batch(step)
        latents = self.network.encode(images)
        noise_level = self.recipe.latent_noise * torch.rand(len(images), 1, 1, 1)
        restored = self.network.decode(latents + noise_level * torch.randn_like(latents))
        judged = slice(self.recipe.perceptual_crops)
        with torch.no_grad():
            wanted = self.features(images[judged])
        terms = {
            "l1": (restored - images).abs().mean(),
            "gradient": gradient_loss(restored, images),
            "perceptual": feature_distance(self.features(restored[judged]), wanted).mean(),
        }
        return (
            terms["l1"]
            + self.recipe.gradient_weight * terms["gradient"]
            + self.recipe.perceptual_weight * terms["perceptual"],
            terms,
        )

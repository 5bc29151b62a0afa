"""Trains the small autoencoder: L1 + gradient + perceptual loss on random crops, holes cut into some of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from training.checkpoints import load_checkpoint, save_checkpoint
from training.ema import ExponentialMovingAverage
from training.features import EfficientNetFeatures, feature_distance
from training.losses import gradient_loss
from training.masks import MaskSampler
from training.muon import Muon, split_parameters
from training.photos import CropSampler, load_photos
from training.progress import LossLog
from training.schedule import learning_rate_scale


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Settings of the autoencoder's training (recipes/nano-autoencoder.yaml)."""

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


class AutoencoderTrainer:
    """Holds what a step needs; `run` trains from the last checkpoint, if there is one, to the recipe's last step."""

    def __init__(self, recipe: AutoencoderRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.network = NanoAutoencoder(NanoAutoencoderConfig()).to(memory_format=torch.channels_last)
        self.average = ExponentialMovingAverage(self.network, recipe.ema_decay)
        self.features = EfficientNetFeatures(recipe.perceptual_stages).to(memory_format=torch.channels_last)
        matrices, others = split_parameters(self.network)
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, recipe.learning_rate),
            torch.optim.AdamW(others, recipe.learning_rate, weight_decay=0.0),
        )
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

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        """The loss terms of one batch, each a scalar."""
        latents = self.network.encode(images)
        noise_level = self.recipe.latent_noise * torch.rand(len(images), 1, 1, 1)
        restored = self.network.decode(latents + noise_level * torch.randn_like(latents))
        judged = slice(self.recipe.perceptual_crops)
        with torch.no_grad():
            wanted = self.features(images[judged])
        return {
            "l1": (restored - images).abs().mean(),
            "gradient": gradient_loss(restored, images),
            "perceptual": feature_distance(self.features(restored[judged]), wanted).mean(),
        }

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers. Raises FloatingPointError when the loss is not finite."""
        recipe = self.recipe
        rate = recipe.learning_rate * learning_rate_scale(step, recipe.warmup, recipe.steps)
        terms = self.losses(self.batch(step))
        loss = (
            terms["l1"]
            + recipe.gradient_weight * terms["gradient"]
            + recipe.perceptual_weight * terms["perceptual"]
        )
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step}: {terms}")
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.average.update(self.network)
        return {name: term.item() for name, term in terms.items()}

    def state(self, step: int) -> dict[str, object]:
        """Everything that a resumed run needs."""
        return {
            "step": step,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "updates": self.average.updates,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "config": self.network.config.to_dict(),
        }

    def resume(self) -> int:
        """Load the last checkpoint and say at which step to go on."""
        state = load_checkpoint(self.recipe.output / "checkpoint.pt")
        if state is None:
            return 0
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["step"])

    def run(self) -> None:
        """Train; writes checkpoint.pt and losses.csv into the recipe's output folder."""
        recipe = self.recipe
        recipe.output.mkdir(parents=True, exist_ok=True)
        first = self.resume()
        log = LossLog(recipe.output / "losses.csv", first)
        started = time.monotonic()
        for step in range(first, recipe.steps):
            torch.manual_seed(recipe.seed * 1_000_003 + step)
            log.add(step, self.step(step), (step + 1 - first) / (time.monotonic() - started))
            if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
                save_checkpoint(recipe.output / "checkpoint.pt", self.state(step + 1))
        log.close()

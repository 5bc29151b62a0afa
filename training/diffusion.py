"""Trains the U-Net to denoise latents inside a hole: v-prediction, published timesteps, noise offset and tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from service.model.config import NANO
from service.model.unet import MoebiusUNet
from training.checkpoints import load_checkpoint, save_checkpoint
from training.ema import ExponentialMovingAverage
from training.latents import LatentShards
from training.muon import Muon, split_parameters
from training.progress import LossLog
from training.schedule import learning_rate_scale, noise_schedule


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


class DiffusionTrainer:
    """Holds what a step needs; `run` trains from the last checkpoint, if there is one, to the recipe's last step."""

    def __init__(self, recipe: DiffusionRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.network = MoebiusUNet(NANO)
        start_quietly(self.network)
        self.average = ExponentialMovingAverage(self.network, recipe.ema_decay)
        matrices, others = split_parameters(self.network)
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, recipe.matrix_learning_rate),
            torch.optim.AdamW(others, recipe.vector_learning_rate, betas=(0.9, 0.99), weight_decay=0.0),
        )
        self.shards = LatentShards(recipe.latents)
        self.alphas_cumprod = noise_schedule()

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; the loss as a number. Raises FloatingPointError when it is not finite."""
        recipe = self.recipe
        batch = self.shards.batch(recipe.seed, step, recipe.batch)
        noisy, velocity, timesteps = velocity_target(batch.latents, self.alphas_cumprod, recipe.noise_offset)
        sample = torch.cat([noisy, batch.mask, batch.masked_latents], 1)  # [B, 9, h, w]
        predicted = self.network(sample, timesteps, token_ids(batch.category))
        loss = velocity_loss(predicted, velocity, batch.mask, recipe.known_weight)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step}")
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        scale = learning_rate_scale(step, recipe.warmup, recipe.steps)
        for optimizer, peak in zip(
            self.optimizers, (recipe.matrix_learning_rate, recipe.vector_learning_rate), strict=True
        ):
            for group in optimizer.param_groups:
                group["lr"] = peak * scale
            optimizer.step()
        self.average.update(self.network)
        return {"velocity": loss.item()}

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

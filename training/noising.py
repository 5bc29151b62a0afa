"""Noise on clean latents, as published, and what a prediction implies: clean latents, velocity, the next timestep.

All in terms of ab, the cumulated alpha of a timestep [B, 1, 1, 1]: x_t = sqrt(ab) x + sqrt(1 - ab) e.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from service.engine.sampler import PredictionType

TIMESTEPS = 1000


@dataclass(frozen=True)
class NoisyLatents:
    """`noisy` and what the network shall predict, `target`, [B, 4, h, w]; `timesteps` [B]; `alpha` [B, 1, 1, 1]."""

    noisy: Tensor
    target: Tensor
    timesteps: Tensor
    alpha: Tensor


def log_normal_timesteps(count: int) -> Tensor:
    """Timesteps floor(1000 sigmoid(z)), z normal, [count]: most of them in the middle, as published."""
    return (TIMESTEPS * torch.randn(count).sigmoid()).long().clamp(0, TIMESTEPS - 1)


def offset_noise(latents: Tensor, noise_offset: float) -> Tensor:
    """Normal noise of the latents' shape, plus `noise_offset` times one normal a sample and channel."""
    return torch.randn(latents.shape) + noise_offset * torch.randn(*latents.shape[:2], 1, 1)


def add_noise(
    latents: Tensor, timesteps: Tensor, noise: Tensor, alphas_cumprod: Tensor, prediction_type: PredictionType
) -> NoisyLatents:
    """Latents [B, 4, h, w] at their timesteps [B]; the target is the noise, or the velocity
    sqrt(ab) e - sqrt(1 - ab) x (Salimans & Ho 2022, arXiv 2202.00512).
    """
    alpha = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    return NoisyLatents(noisy, noise if prediction_type == "epsilon" else velocity, timesteps, alpha)


def clean_latents(
    noisy: Tensor, prediction: Tensor, alpha: Tensor, prediction_type: PredictionType
) -> Tensor:
    """What a prediction implies: (x_t - sqrt(1 - ab) e) / sqrt(ab), or sqrt(ab) x_t - sqrt(1 - ab) v."""
    if prediction_type == "epsilon":
        return (noisy - (1 - alpha).sqrt() * prediction) / alpha.sqrt()
    return alpha.sqrt() * noisy - (1 - alpha).sqrt() * prediction


def implied_velocity(
    noisy: Tensor, prediction: Tensor, alpha: Tensor, prediction_type: PredictionType
) -> Tensor:
    """The velocity that a prediction implies: itself, or (e - sqrt(1 - ab) x_t) / sqrt(ab)."""
    if prediction_type == "v_prediction":
        return prediction
    return (prediction - (1 - alpha).sqrt() * noisy) / alpha.sqrt()


def _angle(alpha: Tensor, alpha_after: Tensor) -> Tensor:
    """How far a step turns: with sqrt(ab) = cos(phi), the difference of the two phi."""
    return torch.arccos(alpha.sqrt()) - torch.arccos(alpha_after.sqrt())


def move(noisy: Tensor, velocity: Tensor, alpha: Tensor, alpha_after: Tensor) -> Tensor:
    """One deterministic DDIM step to `alpha_after`: x' = cos(d) x - sin(d) v, d the angle between the two."""
    turn = _angle(alpha, alpha_after)
    return turn.cos() * noisy - turn.sin() * velocity


def velocity_between(noisy: Tensor, moved: Tensor, alpha: Tensor, alpha_after: Tensor) -> Tensor:
    """The velocity by which one DDIM step takes `noisy` to `moved`: the inverse of `move`."""
    turn = _angle(alpha, alpha_after)
    return (turn.cos() * noisy - moved) / turn.sin()


def masked_mean_square(predicted: Tensor, target: Tensor, mask: Tensor, known_weight: float) -> Tensor:
    """Mean squared error, weighted 1 in the hole and `known_weight` outside, each sample normalised by its weights,
    so that a small hole counts as much as a large one; 1 gives the published plain mean.
    Tensors [B, 4, h, w], mask [B, 1, h, w].
    """
    weight = mask + known_weight * (1 - mask)
    error = (predicted - target).square().mean(1, keepdim=True)
    return ((error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))).mean()

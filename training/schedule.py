"""Schedules: the learning rate over the run, and the noise over the timesteps."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from service.engine.sampler import alphas_cumprod


def learning_rate_scale(
    step: int, warmup: int, steps: int, schedule: Literal["constant", "cosine"] = "cosine"
) -> float:
    """Linear warm-up to 1, then constant, or a cosine down to 2 % of the peak."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def noise_schedule() -> Tensor:
    """alphas_cumprod [1000] of the scaled-linear betas 0.00085 .. 0.012 (the sampler's own table)."""
    return torch.tensor(alphas_cumprod())

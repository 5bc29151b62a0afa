"""Sampling as data: a request's DDIM run as a table of coefficients, and its own starting noise.

Owns the noise schedule. Knows neither networks nor pictures; engines apply x' = a x + b (guided prediction).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.engine.base import Array, StepCoefficients
from service.errors import InvalidParameter

TRAINING_STEPS = 1000
BETA_FIRST = 0.00085
BETA_LAST = 0.012

PredictionType = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, slots=True)
class SamplingTable:
    """A whole run: it starts from image_scale * latents + noise_scale * noise, then takes `rows` in order."""

    image_scale: float
    noise_scale: float
    rows: tuple[StepCoefficients, ...]


@cache
def alphas_cumprod() -> npt.NDArray[np.float32]:
    """Signal power left after each training step [1000]: scaled-linear betas, in fp32 as published."""
    roots = np.linspace(np.sqrt(BETA_FIRST), np.sqrt(BETA_LAST), TRAINING_STEPS, dtype=np.float32)
    alphas = np.float32(1) - roots**2
    # The published table is fp32, its running product is kept wider: a product in fp32 would drift by 1e-6.
    table = np.cumprod(alphas, dtype=np.float64).astype(np.float32)
    table.setflags(write=False)
    return table


def ddim_timesteps(steps: int, strength: float) -> tuple[int, ...]:
    """Timesteps of a run, first to last: "leading" spacing, the last int(steps * strength) of them.

    `InvalidParameter` when no step would be left.
    """
    kept = int(steps * strength)
    if not 0 < kept <= steps <= TRAINING_STEPS:
        raise InvalidParameter(
            f"steps={steps} with strength={strength:g} leaves no denoising step: steps x strength must be at "
            "least 1. Raise steps or strength."
        )
    stride = TRAINING_STEPS // steps
    return tuple(stride * index for index in reversed(range(kept)))


def ddim_table(
    steps: int, strength: float, guidance: float, *, prediction_type: PredictionType
) -> SamplingTable:
    """DDIM with eta 0 (arXiv 2010.02502, eq. 12) as published for Moebius: final alpha 1, no clipping.

    A v-predicting network (arXiv 2202.00512) gives noise = sqrt(alpha) v + sqrt(1 - alpha) x, linear too, so
    its rows differ only in a and b. Guidance weighs the branches with a sum of 1 and so commutes with it.
    """
    timesteps = ddim_timesteps(steps, strength)
    stride = TRAINING_STEPS // steps
    rows = tuple(_row(step, step - stride, guidance, prediction_type) for step in timesteps)
    if strength >= 1:
        return SamplingTable(image_scale=0.0, noise_scale=1.0, rows=rows)
    alpha = _alpha(timesteps[0])
    return SamplingTable(float(np.sqrt(alpha)), float(np.sqrt(1 - alpha)), rows)


def initial_noise(seed: int, crop: int, shape: tuple[int, ...]) -> Array:
    """Standard normal noise of one crop. Philox keyed by (seed, crop): no neighbour shifts the stream."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, crop], dtype=np.uint64)))
    return generator.standard_normal(shape, dtype=np.float32)


def _alpha(timestep: int) -> float:
    return float(alphas_cumprod()[timestep]) if timestep >= 0 else 1.0


def _row(timestep: int, previous: int, guidance: float, prediction_type: PredictionType) -> StepCoefficients:
    alpha, alpha_previous = _alpha(timestep), _alpha(previous)
    a = float(np.sqrt(alpha_previous / alpha))
    b = float(np.sqrt(1 - alpha_previous) - a * np.sqrt(1 - alpha))
    if prediction_type == "v_prediction":
        a, b = a + b * float(np.sqrt(1 - alpha)), b * float(np.sqrt(alpha))
    return StepCoefficients(timestep, a, b, guidance)

"""Sampling as data: a request's DDIM run as a table of coefficients, and its own starting noise.

Owns the noise schedule. Knows neither networks nor pictures; engines apply the rows (denoising.StepCoefficients).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.artifacts import TRAINING_STEPS
from service.denoising import Array, StepCoefficients
from service.errors import InvalidParameter

BETA_FIRST = 0.00085
BETA_LAST = 0.012
CLEAN = -1  # stands for the timestep after the last: no noise is left

PredictionType = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, slots=True)
class SamplingTable:
    """A whole run: it starts from image_scale * latents + noise_scale * noise, then takes `rows` in order."""

    image_scale: float
    noise_scale: float
    rows: tuple[StepCoefficients, ...]

    @classmethod
    def of(cls, rows: tuple[StepCoefficients, ...], strength: float) -> SamplingTable:
        """The run of `rows`: from noise alone at strength 1, below from the picture, noised to the first timestep."""
        if strength >= 1:
            return cls(image_scale=0.0, noise_scale=1.0, rows=rows)
        alpha = signal_power(rows[0].timestep)
        return cls(sqrt(alpha), sqrt(1 - alpha), rows)


@cache
def alphas_cumprod() -> npt.NDArray[np.float32]:
    """Signal power left after each training step [1000]: scaled-linear betas, in fp32 as published."""
    roots = np.linspace(np.sqrt(BETA_FIRST), np.sqrt(BETA_LAST), TRAINING_STEPS, dtype=np.float32)
    alphas = np.float32(1) - roots**2
    # The published table is fp32, its running product is kept wider: a product in fp32 would drift by 1e-6.
    table = np.cumprod(alphas, dtype=np.float64).astype(np.float32)
    table.setflags(write=False)
    return table


def ddim_timesteps(steps: int) -> tuple[int, ...]:
    """Timesteps of a full-strength run of 1 to 1000 steps, first to last, with "leading" spacing: the last is 0."""
    stride = TRAINING_STEPS // steps
    return tuple(stride * index for index in reversed(range(steps)))


def ddim_table(
    timesteps: Sequence[int], strength: float, guidance: float, *, prediction_type: PredictionType
) -> SamplingTable:
    """DDIM with eta 0 (arXiv 2010.02502, eq. 12) as published for Moebius: final alpha 1, no clipping.

    `timesteps` are those of a full-strength run, descending; the last int(len(timesteps) * strength) of them are
    rows. `InvalidParameter` when none would be left.

    What a network predicts changes a, b, p and q alone: noise and v are linear in each other and x, and guidance
    weighs the branches with a sum of 1, and so commutes with it.
    """
    kept = timesteps[len(timesteps) - steps_left(len(timesteps), strength) :]
    rows = tuple(_row(step, after, guidance, prediction_type) for step, after in pairwise((*kept, CLEAN)))
    return SamplingTable.of(rows, strength)


def initial_noise(seed: int, crop: int, shape: tuple[int, ...]) -> Array:
    """Standard normal noise of one crop. Philox keyed by (seed, crop): no neighbour shifts the stream."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, crop], dtype=np.uint64)))
    return generator.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class NoisePlace:
    """Where a tile's noise is in a field [4, rows, columns] that overlapping tiles share: from `top` and `left` on."""

    stream: int
    rows: int
    columns: int
    top: int
    left: int


def shared_noise(seed: int, place: NoisePlace, shape: tuple[int, ...]) -> Array:
    """A tile's window [4, h, w] of the noise of its field, which is keyed by (seed, stream) as a crop's is."""
    field = initial_noise(seed, place.stream, (shape[0], place.rows, place.columns))
    return field[:, place.top : place.top + shape[1], place.left : place.left + shape[2]]


def steps_left(steps: int, strength: float) -> int:
    """Steps that a strength leaves of a full-strength run's. `InvalidParameter` when it leaves none."""
    left = int(steps * strength)
    if not 0 < left <= steps:
        raise InvalidParameter(
            f"steps={steps} with strength={strength:g} leaves no denoising step: steps x strength must be at "
            "least 1. Raise steps or strength."
        )
    return left


def signal_power(timestep: int) -> float:
    """alphas_cumprod at a timestep, 1 where the run is CLEAN."""
    return 1.0 if timestep == CLEAN else float(alphas_cumprod()[timestep])


def _row(timestep: int, after: int, guidance: float, prediction_type: PredictionType) -> StepCoefficients:
    alpha, alpha_after = signal_power(timestep), signal_power(after)
    p, q = clean_coefficients(alpha, prediction_type)
    # x' = sqrt(alpha') x0 + sqrt(1 - alpha') noise, with noise = (x - sqrt(alpha) x0) / sqrt(1 - alpha)
    kept = sqrt((1 - alpha_after) / (1 - alpha))
    toward = sqrt(alpha_after) - kept * sqrt(alpha)
    return StepCoefficients(timestep, a=kept + toward * p, b=toward * q, guidance=guidance, p=p, q=q)


def clean_coefficients(alpha: float, prediction_type: PredictionType) -> tuple[float, float]:
    """The p and q of the clean latents that a prediction e implies, x0 = p x + q e; `alpha` is the signal's power left.

    Of noise: x = sqrt(alpha) x0 + sqrt(1 - alpha) e. Of v (arXiv 2202.00512): x0 = sqrt(alpha) x - sqrt(1 - alpha) v.
    """
    signal, noise = sqrt(alpha), sqrt(1 - alpha)
    return (1 / signal, -noise / signal) if prediction_type == "epsilon" else (signal, -noise)

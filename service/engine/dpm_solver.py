"""DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2) as a table of coefficients: a run of second order that evaluates the
network once a step, as DDIM does.

Owns its update rule and its spacing of timesteps; the noise schedule and the table are of sampler.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import sqrt

import numpy as np
import numpy.typing as npt

from service.artifacts import TRAINING_STEPS
from service.denoising import StepCoefficients
from service.engine.sampler import (
    CLEAN,
    PredictionType,
    SamplingTable,
    alphas_cumprod,
    clean_coefficients,
    signal_power,
    steps_left,
)


def dpm_solver_timesteps(steps: int, strength: float) -> tuple[int, ...]:
    """Timesteps of a run, first to last: from 1000 * strength - 1 on, int(steps * strength) steps, equally far in
    log-SNR, each to the nearest timestep.

    `InvalidParameter` when no step would be left. `python -m benchmarks samplers` compares other spacings.
    """
    count = steps_left(steps, strength)
    lambdas = half_log_snr()
    first = round(TRAINING_STEPS * strength) - 1
    return nearest_timesteps(np.linspace(lambdas[first], lambdas[0], count + 1)[:-1])


def nearest_timesteps(wanted: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """The timesteps nearest to rising half log-SNRs, each once: late ones, which lie close, move up for each other."""
    timesteps: list[int] = []
    for value in wanted[::-1]:
        nearest = int(np.abs(half_log_snr() - value).argmin())
        timesteps.append(max(nearest, timesteps[-1] + 1) if timesteps else nearest)
    return tuple(reversed(timesteps))


def dpm_solver_table(
    timesteps: Sequence[int], strength: float, guidance: float, *, prediction_type: PredictionType
) -> SamplingTable:
    """The second-order multistep run through `timesteps`, descending, at least one.

    Its first step is of first order, since no clean latents are known before it, and so is its last, as no noise is
    left after it: there the second order has no finite weight. A step of first order is one of DDIM.
    """
    rows = tuple(
        _row(before, now, after, guidance, prediction_type)
        for before, (now, after) in zip((None, *timesteps[:-1]), pairwise((*timesteps, CLEAN)), strict=True)
    )
    return SamplingTable.of(rows, strength)


def _row(
    before: int | None, now: int, after: int, guidance: float, prediction_type: PredictionType
) -> StepCoefficients:
    alpha, alpha_after = signal_power(now), signal_power(after)
    p, q = clean_coefficients(alpha, prediction_type)
    kept = sqrt((1 - alpha_after) / (1 - alpha))  # of x: sigma_t / sigma_s
    toward = sqrt(alpha_after) - kept * sqrt(alpha)  # the estimate of x0: alpha_t (1 - exp(-h))
    weight = _extrapolation(before, now, after)
    # The estimate is x0 + weight (x0 - x0 of the step before), with x0 = p x + q e.
    return StepCoefficients(
        now,
        a=kept + toward * (1 + weight) * p,
        b=toward * (1 + weight) * q,
        guidance=guidance,
        c=-toward * weight,
        p=p,
        q=q,
    )


def _extrapolation(before: int | None, now: int, after: int) -> float:
    """1 / (2 r), with r how long the last step was beside this one, both in log-SNR; 0 for a step of first order."""
    if before is None or after == CLEAN:
        return 0.0
    lambdas = half_log_snr()
    return float((lambdas[after] - lambdas[now]) / (2 * (lambdas[now] - lambdas[before])))


@cache
def half_log_snr() -> npt.NDArray[np.float64]:
    """The paper's lambda of each timestep [1000], falling: log(sqrt(alpha) / sqrt(1 - alpha))."""
    alphas = alphas_cumprod().astype(np.float64)
    table: npt.NDArray[np.float64] = np.log(alphas / (1 - alphas)) / 2
    table.setflags(write=False)
    return table

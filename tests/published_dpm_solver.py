"""DPM-Solver++(2M), algorithm 2 of arXiv 2211.01095, written out in double precision: what tests hold ours against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
CleanData = Callable[[Doubles, int], Doubles]


def published_run(clean_data: CleanData, alphas: Doubles, timesteps: Sequence[int], x: Doubles) -> Doubles:
    """From x at the first timestep to the last, and then the clean data that are implied there.

    `clean_data(x, timestep)` is the paper's x_theta; `alphas` [1000] are the signal's power left after each timestep.
    """
    signal, noise = np.sqrt(alphas), np.sqrt(1 - alphas)
    lambdas = np.log(signal / noise)
    estimates: list[Doubles] = []
    for index, (s, t) in enumerate(pairwise(timesteps)):
        estimates.append(clean_data(x, s))
        h = lambdas[t] - lambdas[s]
        if index == 0:
            estimate = estimates[-1]
        else:
            r = (lambdas[s] - lambdas[timesteps[index - 1]]) / h
            estimate = (1 + 1 / (2 * r)) * estimates[-1] - 1 / (2 * r) * estimates[-2]
        x = noise[t] / noise[s] * x - signal[t] * np.expm1(-h) * estimate
    return clean_data(x, timesteps[-1])

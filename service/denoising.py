"""What one denoising step takes and gives, for all backends and as numpy: the latents of a batch, and the rows of the
network's batch with what is done to its predictions.

Owns the update rule; knows no network and no schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

POSITIVE, NEGATIVE = 0, 1  # the branches of guidance: "background", what the hole becomes, and "foreground"


@dataclass(frozen=True, slots=True)
class StepCoefficients:
    """One row of a request's sampling table, with e the guided prediction at `timestep`, and x0' the clean latents
    that the step before implied: x' = a x + b e + c x0', and the clean latents that this one implies, x0 = p x + q e.

    `guidance` g: e = negative + g (positive - negative); at 1 the negative branch is not needed.
    """

    timestep: int
    a: float
    b: float
    guidance: float
    c: float = 0.0
    p: float = 0.0
    q: float = 0.0


@dataclass(frozen=True, slots=True)
class LatentBatch:
    """S samples between two steps: `x` [S, 4, h, w], `clean` [S, 4, h, w] (what the last step implied; zeros at first)
    and `condition` [S, 5, h, w], the mask (1 = fill) and the latents of the masked picture, which stay.
    """

    x: Array
    clean: Array
    condition: Array


@dataclass(frozen=True, slots=True)
class StepRows:
    """The network's batch of B rows over S samples, at least one row each.

    `timesteps` [S]; `source` [B], the sample of each row, and `branch` [B], POSITIVE or NEGATIVE. The first S rows are
    what the samples' predictions are; `negative` [S] is the row that guidance leads away from, a sample's own where it
    has none. `coefficients` [S, 6]: g, a, b, c, p, q of StepCoefficients.
    """

    timesteps: Integers
    source: Integers
    branch: Integers
    negative: Integers
    coefficients: Array

    @classmethod
    def of(cls, coefficients: Sequence[StepCoefficients]) -> StepRows:
        """The positive rows of all samples, in order, then the negative ones of those with guidance."""
        own = np.arange(len(coefficients))
        guided = np.flatnonzero([row.guidance != 1 for row in coefficients])
        negative = own.copy()
        negative[guided] = len(own) + np.arange(len(guided))
        return cls(
            timesteps=np.array([row.timestep for row in coefficients], dtype=np.int64),
            source=np.concatenate([own, guided]),
            branch=np.repeat(np.array([POSITIVE, NEGATIVE]), [len(own), len(guided)]),
            negative=negative,
            coefficients=np.array(
                [(row.guidance, row.a, row.b, row.c, row.p, row.q) for row in coefficients], dtype=np.float32
            ),
        )


def update(batch: LatentBatch, rows: StepRows, prediction: Array) -> LatentBatch:
    """The batch after a step in which the network predicted [B, 4, h, w] (guidance: arXiv 2207.12598)."""
    positive, negative = prediction[: len(batch.x)], prediction[rows.negative]
    guidance, a, b, c, p, q = rows.coefficients.T[:, :, None, None, None]  # [S, 1, 1, 1] each
    guided = negative + guidance * (positive - negative)
    x = a * batch.x + b * guided + c * batch.clean
    return LatentBatch(x, p * batch.x + q * guided, batch.condition)


def graph_inputs(batch: LatentBatch, rows: StepRows) -> dict[str, Array | Integers]:
    """The inputs of a step's graph by name, in their order."""
    return {
        "x": batch.x,
        "clean": batch.clean,
        "condition": batch.condition,
        "timesteps": rows.timesteps,
        "source": rows.source,
        "branch": rows.branch,
        "negative": rows.negative,
        "coefficients": rows.coefficients,
    }

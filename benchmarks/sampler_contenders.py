"""The runs that the samplers' benchmark compares: sampler, spacing of the timesteps, and steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.artifacts import TRAINING_STEPS
from service.contracts import Sampler
from service.engine.dpm_solver import (
    dpm_solver_table,
    dpm_solver_timesteps,
    half_log_snr,
    nearest_timesteps,
)
from service.engine.sampler import PredictionType, SamplingTable, ddim_table, ddim_timesteps

LEADING, TRAILING, EVEN, KARRAS = "leading", "trailing", "even in log-SNR", "Karras"
KARRAS_RHO = 7


def trailing_timesteps(steps: int) -> tuple[int, ...]:
    """Evenly spaced from 999 on (arXiv 2305.08891, table 2)."""
    return tuple(round(TRAINING_STEPS * left / steps) - 1 for left in range(steps, 0, -1))


def karras_timesteps(steps: int) -> tuple[int, ...]:
    """The timesteps nearest to the noise levels of arXiv 2206.00364, eq. 5."""
    most, least = np.exp(-half_log_snr()[[-1, 0]]) ** (1 / KARRAS_RHO)
    return nearest_timesteps(-KARRAS_RHO * np.log(np.linspace(most, least, steps)))


SPACINGS: dict[str, Callable[[int], tuple[int, ...]]] = {
    LEADING: ddim_timesteps,
    TRAILING: trailing_timesteps,
    EVEN: lambda steps: dpm_solver_timesteps(steps, 1.0),
    KARRAS: karras_timesteps,
}
OWN = {Sampler.DDIM: LEADING, Sampler.DPM_SOLVER_PLUS_PLUS: EVEN}  # what a request gets


@dataclass(frozen=True)
class Contender:
    """One way to fill a hole from noise."""

    sampler: Sampler
    steps: int
    spacing: str

    @classmethod
    def of(cls, sampler: Sampler, *steps: int) -> list[Contender]:
        """A sampler with the spacing that requests get."""
        return [cls(sampler, count, OWN[sampler]) for count in steps]

    @property
    def name(self) -> str:
        """Sampler and steps."""
        return f"{self.sampler} {self.steps}"

    def table(self, guidance: float, prediction_type: PredictionType) -> SamplingTable:
        """Its run at strength 1."""
        make = ddim_table if self.sampler is Sampler.DDIM else dpm_solver_table
        return make(SPACINGS[self.spacing](self.steps), 1.0, guidance, prediction_type=prediction_type)


REFERENCE = Contender(Sampler.DDIM, 100, LEADING)
FINE = Contender(Sampler.DPM_SOLVER_PLUS_PLUS, 50, EVEN)
SERVED = [
    *Contender.of(Sampler.DDIM, 8, 10, 20, 50),
    *Contender.of(Sampler.DPM_SOLVER_PLUS_PLUS, 6, 8, 10, 20),
]
OTHER_SPACINGS = [
    Contender(Sampler.DDIM, 10, TRAILING),
    Contender(Sampler.DDIM, 10, EVEN),
    *(
        Contender(Sampler.DPM_SOLVER_PLUS_PLUS, steps, spacing)
        for spacing in (LEADING, TRAILING, KARRAS)
        for steps in (8, 10)
    ),
]
CONTENDERS = [REFERENCE, FINE, *SERVED, *OTHER_SPACINGS]
SHOWN = [
    REFERENCE,
    *Contender.of(Sampler.DDIM, 20, 10),
    *Contender.of(Sampler.DPM_SOLVER_PLUS_PLUS, 10, 8, 6),
]

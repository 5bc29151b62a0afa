"""Step times of the published network on a GPU, modelled: none has been measured here.

Two facts: the paper (arXiv 2606.19195) tells 26.01 ms for a guided step at batch 1 on a GPU that it does not name, and
counts of multiply-adds give the autoencoder's work as a multiple of the network's. One assumption, so it is shown at
several values: how much of that step does not grow with the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.worker.profile import BatchProfile

STEP_SECONDS = 0.02601  # the paper's, of one picture with both branches of guidance
FORWARD_GFLOP = 316  # of the network as published, 2 x multiply-adds, one branch at 512 x 512
ENCODE_GFLOP, DECODE_GFLOP = 1100, 2500  # of its autoencoder
STEPS = 20
MAX_BATCH = 8


@dataclass(frozen=True, slots=True)
class GpuModel:
    """A step of b pictures takes 26.01 ms x (fixed + (1 - fixed) x b): `fixed` is the share of launches and of weights
    that are read, which a batch shares. The autoencoder runs at the rate of the network's step, one crop at a time.
    Distilled to few `steps` it needs one branch of two, half of that time.
    """

    fixed: float
    steps: int = STEPS
    distilled: bool = False

    @property
    def name(self) -> str:
        """As it stands in tables."""
        network = f"published network in {self.steps} steps" if self.distilled else "published network"
        return f"{network}, modelled GPU, {self.fixed:.0%} fixed"

    def step_seconds(self, batch: int) -> float:
        """Of one step of `batch` pictures."""
        one = STEP_SECONDS / 2 if self.distilled else STEP_SECONDS
        return one * (self.fixed + (1 - self.fixed) * batch)

    def profile(self, max_batch: int = MAX_BATCH) -> BatchProfile:
        """As a worker would measure it."""
        gflop_a_second = 2 * FORWARD_GFLOP / STEP_SECONDS
        sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= max_batch]
        return BatchProfile(
            step_seconds={size: self.step_seconds(size) for size in sizes},
            encode_seconds=ENCODE_GFLOP / gflop_a_second,
            decode_seconds=DECODE_GFLOP / gflop_a_second,
            steps=self.steps,
            distilled=self.distilled,
        )


MODELS = (GpuModel(0.0), GpuModel(0.5), GpuModel(0.8))
MIDDLE = MODELS[1]
FEW_STEP = GpuModel(0.5, steps=4, distilled=True)  # nobody has distilled it at this size yet

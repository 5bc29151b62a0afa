"""Fixed inputs for a loaded model and the numbers it must answer: how a backend proves that it computes what
was exported. Owns no backend; numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from service.denoising import Array, LatentBatch, StepRows
from service.errors import ArtifactError

PROBE_KEY = 0x4D6F6562697573  # any fixed key of the Philox generator
PROBE_TIMESTEPS = (900, 40)
FIRST_VALUES = 8
JUST_THE_PREDICTION = np.array([1, 0, 1, 0, 0, 0], dtype=np.float32)  # g, a, b, c, p, q of denoising.StepRows
# Standard deviations of an output. bf16 has three bits less than fp16; another network's answer is about 1 away.
TOLERANCES = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 2e-1}


class Primitives(Protocol):
    """The three network calls that every backend gives. N is the batch."""

    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""

    def denoise_step(self, batch: LatentBatch, rows: StepRows) -> LatentBatch:
        """The batch after a step."""

    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the fixed inputs need to know of a model."""

    image_size: int
    latent_downscale: int
    in_channels: int
    latent_channels: int

    @property
    def latent_side(self) -> int:
        """Side of the latent map."""
        return self.image_size // self.latent_downscale


@dataclass(frozen=True, slots=True)
class Outputs:
    """One answer a primitive: `noise` [N, 4, h, w], `latents` [1, 4, h, w], `picture` [1, 3, s, s]."""

    noise: Array
    latents: Array
    picture: Array


class Numbers(BaseModel):
    """What is kept of one output: its mean, its standard deviation and its first values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    std: float
    first: tuple[float, ...]

    @classmethod
    def of(cls, output: Array) -> Numbers:
        """The numbers of an array of any shape."""
        first = output.ravel()[:FIRST_VALUES].astype(float)
        with np.errstate(invalid="ignore"):  # a broken backend may answer infinities; `distance` refuses them
            return cls(mean=float(output.mean()), std=float(output.std()), first=tuple(first.round(7)))

    def distance(self, other: Numbers) -> float:
        """The largest difference of any number, as a share of this output's standard deviation."""
        ours = np.array([self.mean, self.std, *self.first])
        theirs = np.array([other.mean, other.std, *other.first])
        if ours.shape != theirs.shape or not np.isfinite(theirs).all():
            return float("inf")
        return float(np.abs(ours - theirs).max() / max(self.std, 1e-12))


class Probe(BaseModel):
    """The expected numbers of the three outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise: Numbers
    latents: Numbers
    picture: Numbers

    @classmethod
    def of(cls, outputs: Outputs) -> Probe:
        """The numbers to keep of a run."""
        return cls(
            noise=Numbers.of(outputs.noise),
            latents=Numbers.of(outputs.latents),
            picture=Numbers.of(outputs.picture),
        )


def run_probe(backend: Primitives, shape: ModelShape) -> Outputs:
    """Run the fixed inputs: two samples of the network's, one for each branch of guidance, and one picture."""
    image = np.tanh(_normals(1000, (1, 3, shape.image_size, shape.image_size)))
    latents = _normals(1001, (1, shape.latent_channels, shape.latent_side, shape.latent_side))
    return Outputs(
        noise=probe_noise(backend, shape, batch=2),
        latents=backend.vae_encode(image),
        picture=backend.vae_decode(latents),
    )


def probe_noise(backend: Primitives, shape: ModelShape, *, batch: int) -> Array:
    """The network's output [batch, 4, h, w] on fixed inputs, as a step with x' = e and no guidance gives it. A sample
    is the same in every batch that has it; every other one is of the negative branch.
    """
    side, latents = shape.latent_side, shape.latent_channels
    sample = np.stack(
        [_normals(i, (shape.in_channels, side, side)) for i in range(batch)]
    )  # [batch, C, h, w]
    numbers = np.arange(batch)
    rows = StepRows(
        timesteps=np.array([PROBE_TIMESTEPS[i % 2] + i // 2 for i in numbers], dtype=np.int64),
        source=numbers,
        branch=numbers % 2,
        negative=numbers,
        coefficients=np.tile(JUST_THE_PREDICTION, (batch, 1)),
    )
    x, condition = sample[:, :latents], sample[:, latents:]
    return backend.denoise_step(LatentBatch(x, np.zeros_like(x), condition), rows).x


def check_probe(expected: Probe, backend: Primitives, shape: ModelShape, *, precision: str) -> None:
    """Raise `ArtifactError` if a loaded backend does not answer the numbers of the manifest."""
    tolerance = TOLERANCES[precision]
    found = Probe.of(run_probe(backend, shape))
    for name in ("noise", "latents", "picture"):
        distance = getattr(expected, name).distance(getattr(found, name))
        if not distance <= tolerance:
            raise ArtifactError(
                f"The model answers wrong numbers here: its {name} on the fixed input differs by "
                f"{distance:.2g} standard deviations from the manifest's, {tolerance:g} is allowed. The runtime "
                "or the device is at fault, or the manifest belongs to other files: try another backend or "
                "device, or export again."
            )


def _normals(index: int, shape: tuple[int, ...]) -> Array:
    generator = np.random.Generator(np.random.Philox(key=[PROBE_KEY, index]))
    return generator.standard_normal(shape, dtype=np.float32)

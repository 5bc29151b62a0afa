"""The engine protocol that workers drive, and the data that crosses it. Arrays are numpy; devices stay inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from service.contracts import DEFAULT_GUIDANCE_SCALE, DEFAULT_STEPS
from service.denoising import Array as Array
from service.denoising import StepCoefficients as StepCoefficients

if TYPE_CHECKING:
    from service.artifacts import FewStepSampling, LatentColors, Manifest


@dataclass(frozen=True, slots=True)
class Tile:
    """What the model sees of one crop: `image` [3, s, s] in [-1, 1], `mask` [s, s], 1 = fill."""

    image: Array
    mask: Array


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Batch sizes that the engine was warmed for, ascending; the last is the most that one step may hold."""

    batch_sizes: tuple[int, ...]

    @classmethod
    def up_to(cls, most: int) -> EngineLimits:
        """The powers of two below `most`, and `most`: enough to warm, as kernels are chosen by rough size."""
        return cls((*(2**power for power in range((most - 1).bit_length())), most))


class DeviceOutOfMemory(Exception):  # noqa: N818 - named as what happened, like those of errors.py
    """The device has no room for this batch; a smaller one may fit. States are as they were before the call."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs: said in /v1/models, the logs and `inpaint_backend_info`. `sampling` is that of a few-step model;
    `latent_colors` are what previews are made with, None where there are none.
    """

    model: str
    backend: str
    device: str
    precision: str
    image_size: int
    prediction_type: str
    sampling: FewStepSampling | None = None
    latent_colors: LatentColors | None = None

    @property
    def default_steps(self) -> int:
        """Steps of a request that names none."""
        return DEFAULT_STEPS if self.sampling is None else len(self.sampling.timesteps)

    @property
    def allowed_steps(self) -> tuple[int, ...] | None:
        """The only numbers of steps that a request may name; None: any."""
        return None if self.sampling is None else (self.default_steps,)

    @property
    def guidance_scale(self) -> float:
        """Guidance of a request that names none; that of a few-step model is in its weights."""
        return DEFAULT_GUIDANCE_SCALE if self.sampling is None else self.sampling.guidance_scale

    @property
    def is_distilled(self) -> bool:
        """Whether a step is one evaluation, with no negative branch."""
        return self.sampling is not None

    @classmethod
    def of(cls, manifest: Manifest, *, backend: str, device: str, precision: str) -> EngineInfo:
        """A stored model on a backend."""
        return cls(
            model=manifest.name,
            backend=backend,
            device=device,
            precision=precision,
            image_size=manifest.image_size,
            prediction_type=manifest.prediction_type,
            sampling=manifest.sampling,
            latent_colors=manifest.latent_colors,
        )


class Engine(Protocol):
    """A loaded model on one device. One thread calls `step`; another may call `encode` and `decode` meanwhile.

    `EncodedTile` and `State` are opaque to the caller: latents may live on the device. `encode`, `step` and
    `decode` raise `DeviceOutOfMemory`; when `step` raises anything, no state has moved.
    """

    info: EngineInfo
    limits: EngineLimits
    latent_shape: tuple[int, int, int]

    def warmup(self) -> None:
        """Run the batch sizes that need it once, the largest first; drop those that there is no memory for."""

    def encode(self, tiles: Sequence[Tile], *, with_image: bool) -> list[Any]:
        """VAE-encode the masked tiles, and the whole tiles too if `with_image` (strength below 1)."""

    def begin(self, encoded: Any, noise: Array, image_scale: float, noise_scale: float) -> Any:
        """A state at the first step: image_scale * latents + noise_scale * noise, noise [4, h, w]."""

    def step(self, states: Sequence[Any], coefficients: Sequence[StepCoefficients]) -> None:
        """Advance each state by its own row, all in one batch; states change in place."""

    def preview(self, state: Any) -> Callable[[], Array] | None:
        """What tells the colours [3, h, w] in [-1, 1], one a latent cell, that the state's last step implied, later and
        in any thread, however far the state has gone then. None of a model whose manifest has no `latent_colors`.
        """

    def decode(self, states: Sequence[Any]) -> Array:
        """Pictures [n, 3, s, s] in [-1, 1]."""

    def memory_bytes(self) -> dict[str, int]:
        """Memory of the device by kind (allocated, reserved); empty where the backend can't tell."""

    def close(self) -> None:
        """Free the device."""

"""An engine with no model: average pooling for a codec, a linear map for a network.

It drives the whole stack, deterministic and cheap: the hole takes the mean colour of what surrounds it,
with a trace of the seed's noise. Its steps can take as long as those of a device.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from service.artifacts import FewStepSampling, LatentColors
from service.denoising import Array, LatentBatch, StepCoefficients, StepRows, update
from service.engine.base import EngineInfo, EngineLimits
from service.engine.latent_engine import LatentEngine, LatentState
from service.engine.sampler import alphas_cumprod
from service.settings import Settings

IMAGE_SIZE = 256
NOISE_KEPT = 0.1
FIRST_THREE = LatentColors(matrix=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0)), bias=(0, 0, 0))


class DummyEngine(LatentEngine):
    """Stands in for a backend in tests and on machines without a model. The tokens are not read."""

    def __init__(
        self, settings: Settings, *, image_size: int = IMAGE_SIZE, sampling: FewStepSampling | None = None
    ) -> None:
        info = EngineInfo(
            model=settings.model,
            backend="dummy",
            device="cpu",
            precision="fp32",
            image_size=image_size,
            prediction_type="epsilon",
            sampling=sampling,
            latent_colors=FIRST_THREE,
        )
        super().__init__(info, EngineLimits(tuple(range(1, settings.max_batch + 1))))
        self._step_seconds = settings.dummy_step_seconds
        self._item_seconds = settings.dummy_item_seconds

    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        """One step in the time that the settings give it, with or without guidance; our own work counts."""
        ends = time.perf_counter() + self._step_seconds + self._item_seconds * len(states)
        super().step(states, coefficients)
        time.sleep(max(0.0, ends - time.perf_counter()))

    def vae_encode(self, images: Array) -> Array:
        """Cell means of the three colours, and their mean as the fourth channel."""
        count, side, cell = len(images), self.latent_shape[1], self.latent_downscale
        means = images.reshape(count, 3, side, cell, side, cell).mean(axis=(3, 5))  # [N, 3, h, w]
        return np.concatenate([means, means.mean(axis=1, keepdims=True)], axis=1)

    def advance(self, on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        """The update with the noise that is left if the clean latents are the mean of the known cells plus a little
        of x. Both branches of guidance are the same.
        """
        x, condition = on_device.x[rows.source], on_device.condition[rows.source]
        mask, masked_latents = condition[:, :1], condition[:, 1:]
        known = 1 - mask
        weight = np.maximum(known.sum(axis=(2, 3), keepdims=True), 1)
        mean = (masked_latents * known).sum(axis=(2, 3), keepdims=True) / weight  # [B, 4, 1, 1]
        clean = mean + np.float32(NOISE_KEPT) * x
        alpha = alphas_cumprod()[rows.timesteps[rows.source]][:, None, None, None]
        return update(on_device, rows, (x - np.sqrt(alpha) * clean) / np.sqrt(1 - alpha))

    def vae_decode(self, latents: Array) -> Array:
        """Each cell's colour over its pixels."""
        return latents[:, :3].repeat(self.latent_downscale, axis=2).repeat(self.latent_downscale, axis=3)

"""An engine on the host whose network is a function of numpy arrays, one row of the batch as the other."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from service.denoising import Array, Integers, LatentBatch, StepRows, update
from service.engine.latent_engine import LatentEngine


class PredictingEngine(LatentEngine):
    """The network as `predict`; guidance and the update as service.denoising has them."""

    @abstractmethod
    def predict(self, sample: Array, timesteps: Integers, branch: Integers) -> Array:
        """The network's output [B, 4, h, w] for sample [B, 9, h, w], timesteps [B] and branch [B]."""

    def advance(self, on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        sample = np.concatenate([on_device.x, on_device.condition], axis=1)[rows.source]  # [B, 9, h, w]
        return update(on_device, rows, self.predict(sample, rows.timesteps[rows.source], rows.branch))

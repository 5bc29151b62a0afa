"""An engine around the tiny golden network, with plain pooling for a codec: what the golden loops ran on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from service.denoising import Array, Integers
from service.engine.base import EngineInfo, EngineLimits
from service.engine.dummy import DummyEngine
from service.model.config import TINY
from service.model.unet import MoebiusUNet
from service.settings import Settings
from tests.predicting_engine import PredictingEngine

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
PROMPTS = np.arange(20).reshape(2, 10)  # token ids of both branches, as published


class TinyEngine(PredictingEngine):
    """The published architecture at 128 x 128 pixels, with the weights of `moebius_tiny.bin`."""

    def __init__(self, max_batch: int = 8) -> None:
        info = EngineInfo("moebius-tiny", "torch", "cpu", "fp32", 128, "epsilon")
        super().__init__(info, EngineLimits(tuple(range(1, max_batch + 1))))
        self._codec = DummyEngine(Settings(), image_size=info.image_size)
        self._network = MoebiusUNet(TINY).eval()
        self._network.load_state_dict(torch.load(GOLDEN / "moebius_tiny.bin", weights_only=True))

    def vae_encode(self, images: Array) -> Array:
        return self._codec.vae_encode(images)

    def predict(self, sample: Array, timesteps: Integers, branch: Integers) -> Array:
        arrays = (sample, timesteps, PROMPTS[branch])
        with torch.inference_mode():
            noise = self._network(*(torch.from_numpy(array) for array in arrays))
        return np.asarray(noise.numpy(), dtype=np.float32)

    def vae_decode(self, latents: Array) -> Array:
        return self._codec.vae_decode(latents)

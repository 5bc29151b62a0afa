"""The network calls of a loaded model as numpy in, numpy out, on one device and precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from service.denoising import Array, Integers, LatentBatch, StepRows, graph_inputs
from service.model.autoencoder import Autoencoder
from service.model.inference.network import InferenceUNet, denoising_step
from service.model.unet import MoebiusUNet


class TorchPrimitives:
    """A U-Net, in its inference form, and an autoencoder in evaluation mode.

    `precision` is what the U-Net computes in ("fp32", "fp16" or "bf16", by autocast); the autoencoder stays
    in fp32, where half precision costs visible detail and saves little of the time.
    """

    def __init__(
        self, unet: MoebiusUNet, autoencoder: Autoencoder, *, device: str = "cpu", precision: str = "fp32"
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        with torch.no_grad():
            self.unet = InferenceUNet.of(unet.to(self.device).eval())
        self.autoencoder = autoencoder.to(self.device).eval()

    @torch.inference_mode()
    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        return _to_numpy(self.autoencoder.encode(self._to_device(images)))

    @torch.inference_mode()
    def denoise_step(self, batch: LatentBatch, rows: StepRows) -> LatentBatch:
        """The batch after a step."""
        inputs = {name: self._to_device(array) for name, array in graph_inputs(batch, rows).items()}
        with self._autocast():
            x, clean = denoising_step(self.unet, **inputs)
        return LatentBatch(_to_numpy(x), _to_numpy(clean), batch.condition)

    @torch.inference_mode()
    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        return _to_numpy(self.autoencoder.decode(self._to_device(latents)))

    def _to_device(self, array: Array | Integers) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _autocast(self) -> AbstractContextManager[None]:
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype)


def _to_numpy(tensor: Tensor) -> Array:
    array: Array = tensor.float().cpu().numpy()
    return array

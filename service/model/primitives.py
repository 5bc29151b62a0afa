"""The network calls of a loaded model as numpy in, numpy out, on one device and precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.model.autoencoder import Autoencoder
from service.model.unet import MoebiusUNet

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class TorchPrimitives:
    """A U-Net and an autoencoder in evaluation mode.

    `precision` is what the U-Net computes in ("fp32", "fp16" or "bf16", by autocast); the autoencoder stays
    in fp32, where half precision costs visible detail and saves little of the time.
    """

    def __init__(
        self, unet: MoebiusUNet, autoencoder: Autoencoder, *, device: str = "cpu", precision: str = "fp32"
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.unet = unet.to(self.device).eval()
        self.autoencoder = autoencoder.to(self.device).eval()

    @torch.inference_mode()
    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        return _to_numpy(self.autoencoder.encode(self._to_device(images)))

    @torch.inference_mode()
    def predict(self, sample: Array, timesteps: Integers, token_ids: Integers) -> Array:
        """The network's output [N, 4, h, w] for sample [N, 9, h, w], timesteps [N] and token ids [N, 10]."""
        with self._autocast():
            output = self.unet(
                self._to_device(sample), self._to_device(timesteps), self._to_device(token_ids)
            )
        return _to_numpy(output)

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

"""The network calls of a loaded model on one device, in one precision: with numpy, and from step to step on tensors."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.denoising import Array, Integers, LatentBatch, StepRows
from service.model.autoencoder import Autoencoder
from service.model.half_autoencoder import HalfAutoencoder
from service.model.inference.casting import CastUNet
from service.model.inference.fusing import with_fused_positions
from service.model.inference.network import InferenceUNet, denoising_step
from service.model.unet import MoebiusUNet

ROWS = ("timesteps", "source", "branch", "negative", "coefficients")  # of StepRows, as a step takes them


@dataclass(frozen=True, slots=True)
class DeviceBatch:
    """A LatentBatch on the device. A step makes the next one; none is written to."""

    x: Tensor
    clean: Tensor
    condition: Tensor


class TorchPrimitives:
    """A U-Net, in its inference form, and an autoencoder in evaluation mode.

    `precision` ("fp32", "fp16" or "bf16") is that of the U-Net's weights and maps; inference/casting.py lists what
    stays fp32. The autoencoder is in fp16 or fp32 (half_autoencoder.py).
    """

    def __init__(
        self, unet: MoebiusUNet, autoencoder: Autoencoder, *, device: str = "cpu", precision: str = "fp32"
    ) -> None:
        self.device = torch.device(device)
        with torch.no_grad():
            network = InferenceUNet.of(unet.to(self.device).eval())
            self.unet = with_fused_positions(CastUNet.of(network, precision), self.device)
        if precision == "fp16":
            autoencoder = HalfAutoencoder(autoencoder)
        self.autoencoder = autoencoder.to(self.device).eval()
        self._vae_stream: torch.cuda.Stream | None = None
        if self.device.type == "cuda":
            self.autoencoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            torch.cuda.synchronize(self.device)
            self._vae_stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        with self._beside_steps():
            return _to_numpy(self.autoencoder.encode(self._to_device(images)))

    @torch.inference_mode()
    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        with self._beside_steps():
            return _to_numpy(self.autoencoder.decode(self._to_device(latents)))

    def place(self, batch: LatentBatch) -> DeviceBatch:
        """The batch on the device."""
        return DeviceBatch(*map(self._to_device, (batch.x, batch.clean, batch.condition)))

    def fetch(self, batch: DeviceBatch) -> LatentBatch:
        """The batch on the host. May be called from another thread than `step`."""
        return LatentBatch(*map(_to_numpy, (batch.x, batch.clean, batch.condition)))

    def step_inputs(self, batch: DeviceBatch, rows: StepRows) -> dict[str, Tensor]:
        """The arguments of `step`, on the device."""
        placed = {name: self._to_device(getattr(rows, name)) for name in ROWS}
        return {"x": batch.x, "clean": batch.clean, "condition": batch.condition} | placed

    @torch.inference_mode()
    def step(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The next `x` and `clean`; on a GPU they may be still to be computed when this returns."""
        return denoising_step(self.unet, **inputs)

    def denoise_step(self, batch: LatentBatch, rows: StepRows) -> LatentBatch:
        """The batch after a step, from the host to the host."""
        placed = self.place(batch)
        x, clean = self.step(**self.step_inputs(placed, rows))
        return self.fetch(DeviceBatch(x, clean, placed.condition))

    def wait(self) -> None:
        """Return when the device has computed what this thread gave it."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()

    def _beside_steps(self) -> AbstractContextManager[object]:
        """The autoencoder has a stream of its own: a decode in one thread does not wait for the steps of another."""
        return nullcontext() if self._vae_stream is None else torch.cuda.stream(self._vae_stream)

    def _to_device(self, array: Array | Integers) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _to_numpy(tensor: Tensor) -> Array:
    array: Array = tensor.float().cpu().numpy()
    return array

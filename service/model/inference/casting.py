"""The inference form in half precision, and in the memory layout of a device.

In fp32 stay, whatever the precision: the time embedding, angles and both layers (half precision can't tell timestep 900
from 901); and, as they are outside the network, x, clean, condition, coefficients, guidance and update. Norms and
softmax sum in fp32 inside PyTorch's own kernels, products in those of the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from service.model.inference.network import InferenceUNet
from service.model.inference.parts import rebuilt
from service.model.unet import TimeEmbedding

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class CastUNet:
    """A network whose weights and maps are of `dtype`, for callers whose tensors are fp32; maps are channels-last."""

    network: InferenceUNet
    dtype: torch.dtype

    @classmethod
    def of(cls, network: InferenceUNet, precision: str) -> CastUNet:
        """The network in "fp32", "fp16" or "bf16"."""
        dtype = DTYPES[precision]
        return cls(rebuilt(network, lambda part: _cast(part, dtype)), dtype)

    def __call__(self, sample: Tensor, timesteps: Tensor, source: Tensor, branch: Tensor) -> Tensor:
        """Predict [B, out, h, w] as InferenceUNet does."""
        sample = sample.to(dtype=self.dtype, memory_format=torch.channels_last)
        return self.network(sample, timesteps, source, branch).float()


@dataclass(frozen=True)
class CastTime:
    """A time embedding in fp32, for a network of another precision."""

    embedding: Callable[[Tensor], Tensor]
    dtype: torch.dtype

    def __call__(self, timesteps: Tensor) -> Tensor:
        """Map timesteps [B] to [B, width]."""
        return self.embedding(timesteps).to(self.dtype)


def _cast(part: Any, dtype: torch.dtype) -> Any:
    if isinstance(part, TimeEmbedding):
        return CastTime(part, dtype)
    if not isinstance(part, Tensor) or not part.is_floating_point():
        return part
    part = part.to(dtype)
    return part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part

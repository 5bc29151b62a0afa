"""An autoencoder in half precision: fp16, whose rounding no grey level shows; that of bf16 is eight times as coarse.

In fp32 stay the layers at its ends, which read and write pictures and latents, and what fp16 overflows on. Norms and
softmax sum in fp32 inside PyTorch's own kernels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from service.model.autoencoder import Autoencoder

logger = logging.getLogger(__name__)

HALF = torch.float16
LAYERS = (nn.Conv2d, nn.Linear, nn.GroupNorm, nn.BatchNorm2d)


class HalfAutoencoder(Autoencoder):
    """Answers as the autoencoder `full` does; where a number overflows in half precision, `full` answers itself."""

    def __init__(self, full: Autoencoder) -> None:
        super().__init__()
        self.config = full.config
        self.in_fp32 = full
        self.in_fp16 = in_half_precision(full)

    @property
    def first_layers(self) -> tuple[nn.Module, ...]:
        """Those of the half that stay in fp32."""
        return self.in_fp16.first_layers

    @property
    def last_layers(self) -> tuple[nn.Module, ...]:
        """Those of the half that stay in fp32."""
        return self.in_fp16.last_layers

    def encode(self, images: Tensor) -> Tensor:
        """Map pictures [B, 3, H, W] in [-1, 1] to latents [B, 4, H/8, W/8]."""
        return _finite_of(images, self.in_fp16.encode, self.in_fp32.encode)

    def decode(self, latents: Tensor) -> Tensor:
        """Map latents [B, 4, h, w] to pictures [B, 3, 8h, 8w], not clamped."""
        return _finite_of(latents, self.in_fp16.decode, self.in_fp32.decode)


def in_half_precision(autoencoder: Autoencoder) -> Autoencoder:
    """A copy whose maps and weights are fp16, but for its `first_layers` and `last_layers`; fp32 outside."""
    half = deepcopy(autoencoder)
    ends = {*half.first_layers, *half.last_layers}
    for layer in half.modules():
        if isinstance(layer, LAYERS):
            layer.to(torch.float32 if layer in ends else HALF)
            layer.register_forward_pre_hook(_to_full if layer in ends else _to_half)
    for layer in half.first_layers:
        layer.register_forward_hook(_halve_output)
    return half


def _finite_of(
    values: Tensor, in_half: Callable[[Tensor], Tensor], in_full: Callable[[Tensor], Tensor]
) -> Tensor:
    """In full what overflows in half, unless it was not finite before."""
    answer = in_half(values)
    if answer.isfinite().all() or not values.isfinite().all():
        return answer
    logger.warning("the autoencoder overflows in half precision; this call is repeated in fp32")
    return in_full(values)


def _to_full(_layer: nn.Module, inputs: Any) -> Any:
    return (inputs[0].float(),)


def _to_half(_layer: nn.Module, inputs: Any) -> Any:
    return (inputs[0].to(HALF),)


def _halve_output(_layer: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
    return output.to(HALF)

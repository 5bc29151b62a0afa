"""Folds what is constant at inference into the weights beside it. Exact up to rounding; pure functions of tensors, so
that an exporter can leave the folding to the runtime that loads the graph.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Layer = TypeVar("Layer", bound=nn.Module)


class Affine(NamedTuple):
    """y = weight x + bias, of a convolution or a matrix product: `weight` [out, ...], `bias` [out]."""

    weight: Tensor
    bias: Tensor


def batch_norm_scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Per channel [C], what a BatchNorm does at inference: scale x + shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def fold_batch_norm_after(weight: Tensor, norm: BatchNorm) -> Affine:
    """A layer without bias and the BatchNorm after it as one layer."""
    scale, shift = batch_norm_scale_and_shift(norm)
    return Affine(weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)), shift)


def fold_affine_before(scale: Tensor, shift: Tensor, layer: Affine) -> Affine:
    """A scale and shift of each channel and the 1x1 layer after it, weight [out, in], as one layer."""
    return Affine(layer.weight * scale, layer.bias + layer.weight @ shift)


def layers_of(layers: nn.ModuleList, kind: type[Layer]) -> list[Layer]:
    """The layers of a list, all of one kind. `TypeError` on another: it has no inference form here."""
    for layer in layers:
        if not isinstance(layer, kind):
            raise TypeError(f"expected a {kind.__name__}, got a {type(layer).__name__}")
    return [layer for layer in layers if isinstance(layer, kind)]

"""Separable convolutions, residual blocks and upsampling of the inference form. Maps are [B, C, h, w]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from service.model.blocks import NamedConv, ResidualBlock, SeparableConv, Upsample
from service.model.inference.folding import Affine, fold_batch_norm_after


@dataclass(frozen=True)
class FoldedSeparableConv:
    """Depthwise 3x3, ReLU, 1x1, each with its BatchNorm folded; plus the input if channels stay the same."""

    depthwise: Affine
    pointwise: Affine
    is_residual: bool

    @classmethod
    def of(cls, layer: SeparableConv) -> FoldedSeparableConv:
        """The inference form of a trained layer."""
        return cls(
            fold_batch_norm_after(layer.conv_dw.weight, layer.bn1),
            fold_batch_norm_after(layer.conv_pw.weight, layer.bn2),
            layer.is_residual,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map [B, in, h, w] to [B, out, h, w]."""
        y = F.relu(F.conv2d(x, *self.depthwise, padding=1, groups=self.depthwise.weight.shape[0]))
        y = F.conv2d(y, *self.pointwise)
        return x + y if self.is_residual else y


@dataclass(frozen=True)
class GroupNorm:
    """GroupNorm with its scale and shift [C]; `silu` applies SiLU after it."""

    groups: int
    scale: Tensor
    shift: Tensor
    eps: float

    @classmethod
    def of(cls, norm: torch.nn.GroupNorm) -> GroupNorm:
        """The inference form of a trained layer."""
        return cls(norm.num_groups, norm.weight, norm.bias, norm.eps)

    def silu(self, x: Tensor) -> Tensor:
        """Normalise and activate [B, C, h, w]."""
        return F.silu(F.group_norm(x, self.groups, self.scale, self.shift, self.eps))


@dataclass(frozen=True)
class FoldedResidualBlock:
    """GroupNorm, SiLU, separable convolution, twice, the time embedding between; plus a shortcut."""

    norm1: GroupNorm
    conv1: FoldedSeparableConv
    time: Affine
    norm2: GroupNorm
    conv2: FoldedSeparableConv
    shortcut: Affine | None

    @classmethod
    def of(cls, block: ResidualBlock) -> FoldedResidualBlock:
        """The inference form of a trained block."""
        shortcut = block.conv_shortcut
        return cls(
            GroupNorm.of(block.norm1),
            FoldedSeparableConv.of(block.conv1),
            Affine(block.time_emb_proj.weight, block.time_emb_proj.bias),
            GroupNorm.of(block.norm2),
            FoldedSeparableConv.of(block.conv2),
            affine_of(shortcut) if isinstance(shortcut, torch.nn.Conv2d) else None,
        )

    def __call__(self, x: Tensor, activated_time: Tensor) -> Tensor:
        """Map [B, in, h, w], with SiLU of the time embedding [B, time_width], to [B, out, h, w]."""
        y = self.conv1(self.norm1.silu(x))
        y = y + F.linear(activated_time, *self.time)[:, :, None, None]
        y = self.conv2(self.norm2.silu(y))
        return y + (x if self.shortcut is None else F.conv2d(x, *self.shortcut))


@dataclass(frozen=True)
class NineProductUpsample:
    """Nearest x2, then 3x3, with every product taken before the upsampling: a quarter of the multiplications.

    Along one axis, out[2i] = w0 x[i-1] + (w1 + w2) x[i] and out[2i+1] = (w0 + w1) x[i] + w2 x[i+1]: three products a
    position of the small map, not six. In two axes nine, one 1x1 convolution; what is left are sums.
    """

    taps: Affine  # [9 C, C, 1, 1], tap-major: row, column, channel; the bias is of the sums, [C]

    @classmethod
    def of(cls, layer: Upsample) -> NineProductUpsample:
        """The inference form of a trained layer."""
        weight, bias = affine_of(layer.conv)  # [C, C, 3, 3]
        products = weight.permute(2, 3, 0, 1).reshape(-1, weight.shape[1], 1, 1)
        return cls(Affine(products, bias))

    def __call__(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, C, 2h, 2w]."""
        batch, channels, height, width = x.shape
        products = F.conv2d(x, self.taps.weight).reshape(batch, 3, 3, channels, height, width)
        by_row = [_double(*products[:, row].unbind(1), axis=3) for row in range(3)]  # 3 x 2 x [B, C, h, w]
        phases = [_double(*(row[phase] for row in by_row), axis=2) for phase in range(2)]  # [column][row]
        doubled = torch.stack([torch.stack(columns, -1) for columns in zip(*phases, strict=True)], 3)
        y = doubled.reshape(batch, channels, 2 * height, 2 * width)  # from [B, C, h, 2, w, 2]
        return y + self.taps.bias[:, None, None]


def _double(before: Tensor, here: Tensor, after: Tensor, *, axis: int) -> tuple[Tensor, Tensor]:
    """Even and odd outputs along an axis from the products with the three taps. Outside the map is zero."""
    size = here.shape[axis]
    pad_first, pad_last = ((0, 0, 1, 0), (0, 0, 0, 1)) if axis == 2 else ((1, 0), (0, 1))
    from_before = F.pad(before.narrow(axis, 0, size - 1), pad_first)
    from_after = F.pad(after.narrow(axis, 1, size - 1), pad_last)
    return from_before + (here + after), (before + here) + from_after


def affine_of(layer: torch.nn.Conv2d | torch.nn.Linear) -> Affine:
    """The parameters of a layer that has a bias."""
    assert layer.bias is not None
    return Affine(layer.weight, layer.bias)


@dataclass(frozen=True)
class Downsample:
    """3x3 of stride 2."""

    layer: Affine

    @classmethod
    def of(cls, layer: NamedConv) -> Downsample:
        """The inference form of a trained layer."""
        return cls(affine_of(layer.conv))

    def __call__(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, C, h / 2, w / 2]."""
        return F.conv2d(x, *self.layer, stride=2, padding=1)

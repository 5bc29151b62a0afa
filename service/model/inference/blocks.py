"""LlMI blocks and levels of the inference form: maps [B, C, h, w] between blocks, tokens [B, n, C] inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.model.blocks import (
    DownLevel,
    LambdaTransformerBlock,
    LlMIBlock,
    MixFFN,
    NamedConv,
    ResidualBlock,
    UpLevel,
    Upsample,
)
from service.model.inference.convolutions import (
    Downsample,
    FoldedResidualBlock,
    NineProductUpsample,
    affine_of,
)
from service.model.inference.folding import Affine, fold_affine_before, layers_of
from service.model.inference.lambda_layers import FoldedInteractiveLambda, FoldedLocalLambda


@dataclass(frozen=True)
class Rows:
    """The rows of the network's batch: SiLU of their time embeddings [B, width], and the `branch` [B] of each."""

    time: Tensor
    branch: Tensor


@dataclass(frozen=True)
class LayerNorm:
    """LayerNorm over the channels of tokens."""

    scale: Tensor
    shift: Tensor
    eps: float

    @classmethod
    def of(cls, norm: nn.LayerNorm) -> LayerNorm:
        """The inference form of a trained layer."""
        return cls(norm.weight, norm.bias, norm.eps)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise [B, n, C]."""
        return F.layer_norm(x, self.scale.shape, self.scale, self.shift, self.eps)


@dataclass(frozen=True)
class GatedFFN:
    """MixFFN on maps, with values and gates apart, and its last layer joined with the block's own last.

    The block ends in out(x + point(y)) = out(x) + (out point)(y): the work is the same, without the sum between.
    """

    value: tuple[Affine, Affine]  # 1x1 [h, C, 1, 1], then depthwise [h, 1, 3, 3]
    gate: tuple[Affine, Affine]
    out: Affine  # [C, C, 1, 1]
    point: Tensor  # [C, h, 1, 1], out's product with the last layer

    @classmethod
    def of(cls, layer: MixFFN, out: nn.Conv2d) -> GatedFFN:
        """The inference form of a trained layer and of the 1x1 convolution after its block."""
        hidden = layer.point_conv.conv.in_channels
        both = affine_of(layer.inverted_conv.conv), affine_of(layer.depth_conv.conv)
        value = tuple(Affine(one.weight[:hidden], one.bias[:hidden]) for one in both)
        gate = tuple(Affine(one.weight[hidden:], one.bias[hidden:]) for one in both)
        last = affine_of(out)
        joined = last.weight.flatten(1) @ layer.point_conv.conv.weight.flatten(1)
        return cls((value[0], value[1]), (gate[0], gate[1]), last, joined[..., None, None])

    def __call__(self, x: Tensor, normed: Tensor) -> Tensor:
        """Of a map [B, C, h, w] and its LayerNorm, out(x + MixFFN(normed)), [B, C, h, w]."""
        value, gate = (_widened(normed, *layers) for layers in (self.value, self.gate))  # [B, hidden, h, w]
        return F.conv2d(x, *self.out) + F.conv2d(value * F.silu(gate), self.point)


def _widened(x: Tensor, pointwise: Affine, depthwise: Affine) -> Tensor:
    y = F.silu(F.conv2d(x, *pointwise))
    return F.conv2d(y, *depthwise, padding=1, groups=y.shape[1])


@dataclass(frozen=True)
class FoldedLlMIBlock:
    """GroupNorm, 1x1, Local-lambda, Interactive-lambda, MixFFN, 1x1, plus the input."""

    groups: int
    norm_eps: float
    enter: Affine  # the 1x1, with the GroupNorm's scale and shift
    norm1: LayerNorm
    local: FoldedLocalLambda
    norm2: LayerNorm
    interactive: FoldedInteractiveLambda
    norm3: LayerNorm
    feed_forward: GatedFFN

    @classmethod
    def of(cls, block: LlMIBlock, tokens: Tensor) -> FoldedLlMIBlock:
        """The inference form of a trained block for the projected tokens of both branches, [2, L, width]."""
        (inner,) = layers_of(block.transformer_blocks, LambdaTransformerBlock)
        enter = Affine(block.proj_in.weight.flatten(1), affine_of(block.proj_in).bias)
        return cls(
            block.norm.num_groups,
            block.norm.eps,
            fold_affine_before(block.norm.weight, block.norm.bias, enter),
            LayerNorm.of(inner.norm1),
            FoldedLocalLambda.of(inner.attn1),
            LayerNorm.of(inner.norm2),
            FoldedInteractiveLambda.of(inner.attn2, tokens),
            LayerNorm.of(inner.norm3),
            GatedFFN.of(inner.ff, block.proj_out),
        )

    def __call__(self, x: Tensor, branch: Tensor, source: Tensor | None = None) -> Tensor:
        """Map [B, C, h, w] to the same shape, in the `branch` [B] of each row.

        With `source` [B], x is [S, C, h, w], a row a sample, and the output's rows continue those: the first block's
        part before its tokens' constants is the same in both branches.
        """
        normed = F.group_norm(x, self.groups, eps=self.norm_eps)
        tokens = F.linear(normed.flatten(2).transpose(1, 2), *self.enter)  # [S, n, C]
        tokens = tokens + self.local(self.norm1(tokens))
        q = self.interactive.query(self.norm2(tokens))  # [S, n, h k]
        if source is not None:
            x, tokens, q = (shared.index_select(0, source) for shared in (x, tokens, q))
        tokens = tokens + self.interactive(q, branch)  # [B, n, C]
        inner, normed = (one.transpose(1, 2).reshape(x.shape) for one in (tokens, self.norm3(tokens)))
        return x + self.feed_forward(inner, normed)


@dataclass(frozen=True)
class FoldedDownLevel:
    """Residual and LlMI blocks of one level on the way down, and what halves the side, if anything."""

    blocks: tuple[tuple[FoldedResidualBlock, FoldedLlMIBlock], ...]
    downsample: Downsample | None

    @classmethod
    def of(cls, level: DownLevel, tokens: Tensor) -> FoldedDownLevel:
        """The inference form of a trained level."""
        last = [Downsample.of(layer) for layer in layers_of(level.downsamplers, NamedConv)]
        return cls(_fold_blocks(level, tokens), last[0] if last else None)

    def __call__(self, x: Tensor, rows: Rows) -> tuple[Tensor, list[Tensor]]:
        """Return the level's output and what it leaves for the way up, in order."""
        return self._rest(x, rows, self.blocks, [])

    def first(
        self, x: Tensor, shared_time: Tensor, source: Tensor, rows: Rows
    ) -> tuple[Tensor, list[Tensor]]:
        """The same where x is [S, C, h, w], a row a sample; `source` [B] is what each row of the output continues."""
        (residual, llmi), *others = self.blocks
        x = llmi(residual(x, shared_time), rows.branch, source)
        return self._rest(x, rows, others, [x])

    def _rest(
        self,
        x: Tensor,
        rows: Rows,
        blocks: Sequence[tuple[FoldedResidualBlock, FoldedLlMIBlock]],
        skips: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        for residual, llmi in blocks:
            x = llmi(residual(x, rows.time), rows.branch)
            skips.append(x)
        if self.downsample is not None:
            x = self.downsample(x)
            skips.append(x)
        return x, skips


@dataclass(frozen=True)
class FoldedUpLevel:
    """Residual and LlMI blocks of one level on the way up, and what doubles the side, if anything."""

    blocks: tuple[tuple[FoldedResidualBlock, FoldedLlMIBlock], ...]
    upsample: NineProductUpsample | None

    @classmethod
    def of(cls, level: UpLevel, tokens: Tensor) -> FoldedUpLevel:
        """The inference form of a trained level."""
        last = [NineProductUpsample.of(layer) for layer in layers_of(level.upsamplers, Upsample)]
        return cls(_fold_blocks(level, tokens), last[0] if last else None)

    def __call__(self, x: Tensor, skips: Sequence[Tensor], rows: Rows) -> Tensor:
        """Join `skips`, one a residual block, and return the level's output."""
        for (residual, llmi), skip in zip(self.blocks, skips, strict=True):
            x = llmi(residual(torch.cat([x, skip], dim=1), rows.time), rows.branch)
        return x if self.upsample is None else self.upsample(x)


def _fold_blocks(
    level: DownLevel | UpLevel, tokens: Tensor
) -> tuple[tuple[FoldedResidualBlock, FoldedLlMIBlock], ...]:
    return tuple(
        (FoldedResidualBlock.of(residual), FoldedLlMIBlock.of(llmi, tokens))
        for residual, llmi in zip(
            layers_of(level.resnets, ResidualBlock), layers_of(level.attentions, LlMIBlock), strict=True
        )
    )

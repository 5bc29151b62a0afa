"""The lambda layers of the inference form, on tokens [B, n, C] in raster order: h heads, k key and v value channels.

Queries meet the tokens before the values: no [k, v] map a position is made.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from service.model.inference.folding import Affine, fold_batch_norm_after
from service.model.inference.positions import Positions, positions_of
from service.model.lambda_layers import InteractiveLambda, LocalLambda


@dataclass(frozen=True)
class FoldedLocalLambda:
    """Local-lambda with its BatchNorms folded."""

    heads: int
    queries: Affine
    keys: Tensor  # [k, C]
    values: Affine
    positions: Positions
    bias: Tensor  # [k], of the position filters: the same everywhere, and so a part of the content

    @classmethod
    def of(cls, layer: LocalLambda) -> FoldedLocalLambda:
        """The inference form of a trained layer."""
        filters, bias = layer.pos_conv.weight[:, 0, 0], layer.pos_conv.bias
        assert bias is not None
        return cls(
            layer.heads,
            fold_batch_norm_after(layer.to_q.weight.flatten(1), layer.norm_q),
            layer.to_k.weight.flatten(1),
            fold_batch_norm_after(layer.to_v.weight.flatten(1), layer.norm_v),
            positions_of(filters, layer.side, layer.heads),
            bias,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map tokens [B, n, C] to the same shape."""
        batch, positions, channels = x.shape
        q = F.linear(x, *self.queries)  # [B, n, h k]
        k = F.linear(x, self.keys).transpose(1, 2).softmax(-1)  # [B, k, n]
        v = F.linear(x, *self.values)  # [B, n, v]
        content = k @ v + self.bias[:, None]  # [B, k, v]
        by_head = q.reshape(batch, positions, self.heads, -1)
        everywhere = q.reshape(batch, positions * self.heads, -1) @ content  # [B, n h, v]
        return self.positions(by_head, v) + everywhere.reshape(batch, positions, channels)


@dataclass(frozen=True)
class FoldedInteractiveLambda:
    """Interactive-lambda whose tokens are constants: keys and values of both branches, [2, L, k] and [2, L, v]."""

    heads: int
    queries: Affine
    keys: Tensor
    values: Tensor
    table: Tensor  # [n, k, L]

    @classmethod
    def of(cls, layer: InteractiveLambda, tokens: Tensor) -> FoldedInteractiveLambda:
        """The inference form of a trained layer for the projected tokens of both branches, [2, L, width]."""
        values = layer.norm_v(layer.to_v(tokens).transpose(1, 2)).transpose(1, 2)
        return cls(
            layer.heads,
            fold_batch_norm_after(layer.to_q.weight.flatten(1), layer.norm_q),
            layer.to_k(tokens).softmax(1),
            values,
            layer.rel_pos_emb[..., 0].transpose(1, 2).contiguous(),
        )

    def query(self, x: Tensor) -> Tensor:
        """The queries [B, n, h * k] of tokens [B, n, C]; the last thing that both branches have in common."""
        return F.linear(x, *self.queries)

    def __call__(self, q: Tensor, branch: Tensor) -> Tensor:
        """Queries [B, n, h * k] and the branch of each row, [B], to [B, n, h * v]."""
        batch, positions, channels = q.shape
        by_head = q.reshape(batch, positions * self.heads, -1)  # [B, n h, k]
        scores = by_head @ self.keys[branch].transpose(1, 2)  # [B, n h, L]
        by_position = q.reshape(batch, positions, self.heads, -1).transpose(0, 1)  # [n, B, h, k]
        placed = by_position.reshape(positions, batch * self.heads, -1) @ self.table  # [n, B h, L]
        placed = placed.reshape(positions, batch, self.heads, -1).transpose(0, 1)  # [B, n, h, L]
        scores = scores + placed.reshape(batch, positions * self.heads, -1)
        return (scores @ self.values[branch]).reshape(batch, positions, channels)

"""The two lambda layers of Moebius (arXiv 2606.19195, after LambdaNetworks, arXiv 2102.08602).

Both turn keys and values into one small linear map a position, shared by the heads, and apply it to the
queries. No 1/sqrt(k) scaling and no output projection, as published. Shapes: B samples, H heads, k key and v
value channels (k = v = channels / H), n = side * side positions in raster order, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# At sides up to this one the position term is a product with a dense n x n matrix a head (by an order of
# magnitude fewer operations than the convolution); above, the matrix outgrows what it saves.
DENSE_POSITION_SIDE = 16


class LocalLambda(nn.Module):
    """Self lambda layer: global content plus a square neighbourhood of `position_kernel` positions a side."""

    tap_index: Tensor

    def __init__(self, channels: int, heads: int, side: int, position_kernel: int) -> None:
        super().__init__()
        self.heads = heads
        self.key_width = channels // heads
        self.side = side
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Conv2d(channels, self.key_width, 1, bias=False)
        self.to_v = nn.Conv2d(channels, self.key_width, 1, bias=False)
        self.norm_q = nn.BatchNorm2d(channels)
        self.norm_v = nn.BatchNorm2d(self.key_width)
        # Three-dimensional as published; its depth is one, and only its parameters are used.
        self.pos_conv = nn.Conv3d(1, self.key_width, (1, position_kernel, position_kernel))
        if side <= DENSE_POSITION_SIDE:
            self.register_buffer("tap_index", _tap_index(side, position_kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, side, side] to the same shape."""
        q = _heads(self.norm_q(self.to_q(x)), self.heads)  # [B, H, k, n]
        keys = self.to_k(x).flatten(2).float().softmax(-1).to(q.dtype)  # [B, k, n]
        v = self.norm_v(self.to_v(x)).flatten(2)  # [B, v, n]
        content = v @ keys.transpose(1, 2)  # [B, v, k]
        apply: Callable[[Tensor, Tensor, Tensor], Tensor]
        apply = self._apply_dense if self.side <= DENSE_POSITION_SIDE else self._apply_convolved
        output: Tensor = apply(q, v, content)  # [B, H, v, n]
        return output.reshape(x.shape)

    def _apply_convolved(self, q: Tensor, v: Tensor, content: Tensor) -> Tensor:
        """The published order: every value map convolved with the k filters, then met by the queries."""
        maps = v.reshape(-1, 1, self.side, self.side)  # [B * v, 1, side, side]
        weight = self.pos_conv.weight[:, 0]  # [k, 1, kernel, kernel]
        position = F.conv2d(maps, weight, self.pos_conv.bias, padding=weight.shape[-1] // 2)
        lambdas = position.reshape(v.shape[0], -1, *q.shape[2:]) + content[..., None]  # [B, v, k, n]
        return torch.einsum("bhkn,bvkn->bhvn", q, lambdas)

    def _apply_dense(self, q: Tensor, v: Tensor, content: Tensor) -> Tensor:
        """Queries meet the filters first: scores[h, n, m] = sum_k Q[h, k, n] W[k, m - n]. Exact."""
        taps = self.pos_conv.weight.flatten(1).t().to(q.dtype)  # [taps, k]
        taps = F.pad(taps, (0, 0, 0, 1))  # [taps + 1, k], the last one zero
        filters = F.embedding(self.tap_index, taps)  # [n, m, k]
        scores = _by_position(q, filters)  # [B, H, m, n]
        bias = self.pos_conv.bias
        assert bias is not None
        shared = (content + bias.to(q.dtype))[:, None]  # [B, 1, v, k]
        return v[:, None] @ scores + shared @ q  # [B, H, v, n]


class InteractiveLambda(nn.Module):
    """Cross lambda layer: tokens give keys and values; a table embeds every (position, token) pair."""

    def __init__(self, channels: int, heads: int, side: int, tokens: int, cross_width: int) -> None:
        super().__init__()
        self.heads = heads
        key_width = channels // heads
        self.rel_pos_emb = nn.Parameter(0.02 * torch.randn(side**2, tokens, key_width, 1))
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Linear(cross_width, key_width, bias=False)
        self.to_v = nn.Linear(cross_width, key_width, bias=False)
        self.norm_q = nn.BatchNorm2d(channels)
        self.norm_v = nn.BatchNorm1d(key_width)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, C, side, side], conditioned by tokens [B, L, cross_width], to the same shape.

        The products are taken queries first (as attention does), so no [k, v] map a position is ever made.
        """
        q = _heads(self.norm_q(self.to_q(x)), self.heads)  # [B, H, k, n]
        keys = self.to_k(tokens).float().softmax(1).to(q.dtype)  # [B, L, k]
        v = self.norm_v(self.to_v(tokens).transpose(1, 2))  # [B, v, L]
        position = _by_position(q, self.rel_pos_emb[..., 0].to(q.dtype))  # [B, H, L, n]
        scores = keys[:, None] @ q + position  # [B, H, L, n]
        output: Tensor = v[:, None] @ scores  # [B, H, v, n]
        return output.reshape(x.shape)


def _heads(channels: Tensor, heads: int) -> Tensor:
    """Split [B, H * k, side, side], head-major, into [B, H, k, n]."""
    return channels.flatten(2).reshape(channels.shape[0], heads, channels.shape[1] // heads, -1)


def _by_position(q: Tensor, table: Tensor) -> Tensor:
    """Multiply queries [B, H, k, n] with the m vectors `table` [n, m, k] has for each n; [B, H, m, n]."""
    batch, heads = q.shape[:2]
    by_position = q.permute(3, 0, 1, 2).flatten(1, 2)  # [n, B * H, k]
    scores = by_position @ table.transpose(1, 2)  # [n, B * H, m]
    return scores.reshape(scores.shape[0], batch, heads, -1).permute(1, 2, 3, 0)


def _tap_index(side: int, kernel: int) -> Tensor:
    """Which filter tap joins each pair of positions, [n, m] in raster order; kernel**2 (a zero) if none."""
    along = torch.arange(side)
    offset = along[None, :] - along[:, None] + kernel // 2  # [n, m] along one axis
    tap = offset[:, None, :, None] * kernel + offset[None, :, None, :]  # [y, x, y', x']
    inside = (offset >= 0) & (offset < kernel)
    tap = torch.where(inside[:, None, :, None] & inside[None, :, None, :], tap, kernel**2)
    return tap.reshape(side**2, side**2)

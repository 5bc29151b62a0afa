"""The two lambda layers of Moebius (arXiv 2606.19195, after LambdaNetworks, arXiv 2102.08602).

Both turn keys and values into one small linear map a position, shared by the heads, and apply it to the queries.
No 1/sqrt(k) scaling and no output projection, as published. Shapes: B samples, H heads, k key and v value channels
(k = v = channels / H), n = side * side positions in raster order, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# At sides up to this one the position term is a product with a dense n x n matrix a head (fewer operations than the
# convolution by an order of magnitude); above, the matrix outgrows what it saves.
DENSE_POSITION_SIDE = 16


class LocalLambda(nn.Module):
    """Self lambda layer: global content plus a neighbourhood of `position_kernel` x `position_kernel` positions."""

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
        self.pos_conv = PositionFilters(self.key_width, position_kernel)
        if side <= DENSE_POSITION_SIDE:
            self.register_buffer("tap_index", _tap_index(side, position_kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, side, side] to the same shape."""
        q = self.norm_q(self.to_q(x)).unflatten(1, (self.heads, -1)).flatten(3)  # [B, H, k, n]
        keys = self.to_k(x).flatten(2).float().softmax(-1).to(q.dtype)  # [B, k, n]
        v = self.norm_v(self.to_v(x)).flatten(2)  # [B, v, n]
        content = v @ keys.transpose(1, 2)  # [B, v, k]
        apply = self._apply_dense if self.side <= DENSE_POSITION_SIDE else self._apply_convolved
        return apply(q, v, content).reshape(x.shape)

    def _apply_convolved(self, q: Tensor, v: Tensor, content: Tensor) -> Tensor:
        """The published order: convolve every value map with the k filters, then contract with the queries."""
        maps = v.reshape(-1, 1, self.side, self.side)  # [B * v, 1, side, side]
        weight = self.pos_conv.weight  # [k, 1, kernel, kernel]
        position = F.conv2d(maps, weight, self.pos_conv.bias, padding=weight.shape[-1] // 2)
        lambdas = position.reshape(v.shape[0], -1, *q.shape[2:]) + content[..., None]  # [B, v, k, n]
        return torch.einsum("bhkn,bvkn->bhvn", q, lambdas)

    def _apply_dense(self, q: Tensor, v: Tensor, content: Tensor) -> Tensor:
        """Queries meet the filters first: scores[h, n, m] = sum_k Q[h, k, n] W[k, m - n]. Exact, and less work."""
        taps = F.pad(self.pos_conv.weight.flatten(1).t(), (0, 0, 0, 1)).to(q.dtype)  # [taps + 1, k], the last zero
        filters = F.embedding(self.tap_index, taps)  # [n, m, k]
        by_position = q.permute(3, 0, 1, 2).flatten(1, 2)  # [n, B * H, k]
        scores = by_position @ filters.transpose(1, 2)  # [n, B * H, m]
        scores = scores.unflatten(1, (-1, self.heads)).permute(1, 2, 3, 0)  # [B, H, m, n]
        shared = (content + self.pos_conv.bias.to(q.dtype))[:, None]  # [B, 1, v, k]
        return v[:, None] @ scores + shared @ q  # [B, H, v, n]


class PositionFilters(nn.Module):
    """The k position filters, [k, 1, kernel, kernel], and their bias [k].

    The published state dict holds a Conv3d's [k, 1, 1, kernel, kernel]; saving and loading add and drop that axis. In
    memory it would only be in the way: a five-dimensional weight can't be made channels-last.
    """

    def __init__(self, key_width: int, kernel: int) -> None:
        super().__init__()
        initial = nn.Conv2d(1, key_width, kernel)
        assert initial.bias is not None
        self.weight = initial.weight
        self.bias = initial.bias
        self.register_state_dict_post_hook(_add_depth_axis)
        self.register_load_state_dict_pre_hook(_drop_depth_axis)


def _add_depth_axis(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: object) -> None:
    state[prefix + "weight"] = state[prefix + "weight"].unsqueeze(2)


def _drop_depth_axis(module: nn.Module, state: dict[str, Tensor], prefix: str, *unused: object) -> None:
    weight = state.get(prefix + "weight")
    if weight is not None and weight.ndim == 5:
        state[prefix + "weight"] = weight.squeeze(2)


class InteractiveLambda(nn.Module):
    """Cross lambda layer: tokens give the keys and values; a table holds a position embedding a (position, token)."""

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
        q = self.norm_q(self.to_q(x)).unflatten(1, (self.heads, -1)).flatten(3)  # [B, H, k, n]
        keys = self.to_k(tokens).float().softmax(1).to(q.dtype)  # [B, L, k]
        v = self.norm_v(self.to_v(tokens).transpose(1, 2))  # [B, v, L]
        by_position = q.permute(3, 0, 1, 2).flatten(1, 2)  # [n, B * H, k]
        table = self.rel_pos_emb[..., 0].to(q.dtype)  # [n, L, k]
        position = by_position @ table.transpose(1, 2)  # [n, B * H, L]
        position = position.unflatten(1, (-1, self.heads)).permute(1, 2, 3, 0)  # [B, H, L, n]
        scores = keys[:, None] @ q + position  # [B, H, L, n]
        return (v[:, None] @ scores).reshape(x.shape)


def _tap_index(side: int, kernel: int) -> Tensor:
    """For every pair of positions (n, m), in raster order, which filter tap joins them; kernel**2 (a zero) if none."""
    along = torch.arange(side)
    offset = along[None, :] - along[:, None] + kernel // 2  # [n, m] along one axis
    tap = offset[:, None, :, None] * kernel + offset[None, :, None, :]  # [y, x, y', x']
    inside = (offset >= 0) & (offset < kernel)
    tap = torch.where(inside[:, None, :, None] & inside[None, :, None, :], tap, kernel**2)
    return tap.reshape(side**2, side**2)

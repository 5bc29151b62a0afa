"""The lambda layers of the inference form, on tokens [B, n, C] in raster order: h heads, k key and v value channels.

Queries meet the filters, or the table, before the values: no [k, v] map a position is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from service.model.inference.folding import Affine, fold_batch_norm_after
from service.model.lambda_layers import InteractiveLambda, LocalLambda

TILE = (
    4  # positions a side that share one product with their neighbourhood; of 2, 4 and 8 the fastest measured
)
DENSE_SIDE = 16  # up to here one tile is the whole map: a neighbourhood of 15 is most of it anyway


@dataclass(frozen=True)
class TiledPositions:
    """The position term of a Local-lambda: for every head, S[n, m] = Q[n] . W[m - n], then Y[n] = sum_m S[n, m] V[m].

    A map is cut into g x g tiles of t positions a side; m runs over the neighbourhood that the positions of a tile
    have in common. `filters` [t * t, k, m] holds each position's filter in it, zero elsewhere, the same for all tiles,
    and `neighbours` [g * g * m] where m lies on the map; n, one past the last position, stands for outside.
    """

    side: int
    tile: int
    filters: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, weight: Tensor, side: int) -> TiledPositions:
        """From the filters [k, kernel, kernel] of the training form."""
        kernel = weight.shape[-1]
        tile = side if side <= DENSE_SIDE or side % TILE else TILE
        reach = kernel // 2
        # Of a tile that is the whole map nothing lies outside: there the map is the neighbourhood.
        along = torch.arange(side) if tile == side else torch.arange(tile + 2 * reach) - reach
        taps = _tap_index(torch.arange(tile), along, kernel).to(weight.device)  # [t * t, m]
        padded = F.pad(weight.flatten(1), (0, 1))  # [k, taps + 1], the last one zero
        filters = padded[:, taps].permute(1, 0, 2)  # [t * t, k, m]
        starts = torch.arange(0, side, tile)
        neighbours = _neighbours(starts, along, side).to(weight.device)
        return cls(side, tile, filters.contiguous(), neighbours)

    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        """Queries [B, n, h, k] and values [B, n, v] to [B, n, h * v]."""
        batch, _, heads, key_width = q.shape
        tile, tiles = self.tile, self.side // self.tile
        value_width, reach = v.shape[-1], self.filters.shape[-1]
        split = q.reshape(batch, tiles, tile, tiles, tile, heads, key_width)
        by_position = split.permute(2, 4, 0, 1, 3, 5, 6).reshape(
            tile**2, -1, key_width
        )  # [t * t, B g g h, k]
        scores = (by_position @ self.filters).reshape(tile**2, -1, heads, reach)  # [t * t, B g g, h, m]
        scores = scores.transpose(0, 1).reshape(batch * tiles**2, -1, reach)  # [B g g, t t h, m]
        values = self._in_tiles(v).reshape(batch * tiles**2, reach, value_width)
        y = (scores @ values).reshape(batch, tiles, tiles, tile, tile, heads * value_width)
        return y.transpose(2, 3).reshape(batch, self.side**2, heads * value_width)

    def _in_tiles(self, v: Tensor) -> Tensor:
        """The values around each tile, [B, g * g * m, v]."""
        if self.tile == self.side:
            return v
        return F.pad(v, (0, 0, 0, 1)).index_select(1, self.neighbours)


@dataclass(frozen=True)
class FoldedLocalLambda:
    """Local-lambda with its BatchNorms folded."""

    heads: int
    queries: Affine
    keys: Tensor  # [k, C]
    values: Affine
    positions: TiledPositions
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
            TiledPositions.of(filters, layer.side),
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


def _tap_index(inside: Tensor, along: Tensor, kernel: int) -> Tensor:
    """Which tap joins each position of a tile [t * t] to each of its neighbourhood [m]; kernel**2 if none does."""
    offset = along[None, :] - inside[:, None] + kernel // 2  # [t, side of m] along one axis
    tap = offset[:, None, :, None] * kernel + offset[None, :, None, :]  # [y, x, y', x']
    near = (offset >= 0) & (offset < kernel)
    tap = torch.where(near[:, None, :, None] & near[None, :, None, :], tap, kernel**2)
    return tap.reshape(len(inside) ** 2, len(along) ** 2).int()


def _neighbours(starts: Tensor, along: Tensor, side: int) -> Tensor:
    """Raster positions of the neighbourhoods of tiles at all pairs of `starts`, flat; side**2 if outside."""
    place = starts[:, None] + along[None, :]  # [g, side of m] along one axis
    index = place[:, None, :, None] * side + place[None, :, None, :]  # [gy, gx, y, x]
    on_map = (place >= 0) & (place < side)
    return torch.where(on_map[:, None, :, None] & on_map[None, :, None, :], index, side**2).flatten().int()

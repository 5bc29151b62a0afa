"""The position term of a Local-lambda: what every position takes from the square neighbourhood around it.

Two ways that compute the same, on tokens [B, n, C] in raster order: h heads, k key and v value channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

Indices = npt.NDArray[np.integer[Any]]
Positions = Callable[[Tensor, Tensor], Tensor]  # queries [B, n, h, k] and values [B, n, v] to [B, n, h * v]

# Positions a side that share one product with their neighbourhood; of 2, 4 and 8 the fastest measured.
TILE = 4
# Up to here one tile is the whole map: a neighbourhood of 15 is most of it anyway.
DENSE_SIDE = 16
# Of a multiplication in a convolution of one channel, where one in a large product costs 1; measured.
CONVOLUTION_COST = 1.5


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
    def of(cls, weight: Tensor, side: int, tile: int | None = None) -> TiledPositions:
        """From the filters [k, kernel, kernel] of the training form; `tile` positions a side, or what suits the map."""
        kernel = weight.shape[-1]
        if tile is None:
            tile = side if side <= DENSE_SIDE or side % TILE else TILE
        reach = kernel // 2
        # Of a tile that is the whole map nothing lies outside: there the map is the neighbourhood.
        along = np.arange(side) if tile == side else np.arange(tile + 2 * reach) - reach
        taps = _constant(_tap_index(np.arange(tile), along, kernel), weight)  # [t * t, m]
        padded = F.pad(weight.flatten(1), (0, 1))  # [k, taps + 1], the last one zero
        filters = padded.index_select(1, taps.flatten()).reshape(-1, *taps.shape)  # [k, t * t, m]
        neighbours = _neighbours(np.arange(0, side, tile), along, side)
        return cls(side, tile, filters.transpose(0, 1).contiguous(), _constant(neighbours, weight))

    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        """Queries [B, n, h, k] and values [B, n, v] to [B, n, h * v]."""
        batch, _, heads, key_width = q.shape
        tile, tiles = self.tile, self.side // self.tile
        value_width, reach = v.shape[-1], self.filters.shape[-1]
        split = q.reshape(batch, tiles, tile, tiles, tile, heads, key_width)
        # [t * t, B g g h, k]
        by_position = split.permute(2, 4, 0, 1, 3, 5, 6).reshape(tile**2, -1, key_width)
        scores = (by_position @ self.filters).reshape(tile**2, -1, heads, reach)  # [t * t, B g g, h, m]
        scores = scores.transpose(0, 1).reshape(batch * tiles**2, -1, reach)  # [B g g, t t h, m]
        values = self._in_tiles(v).reshape(batch * tiles**2, reach, value_width)
        y = (scores @ values).reshape(batch, tiles, tiles, tile, tile, heads * value_width)
        return y.transpose(2, 3).reshape(batch, self.side**2, heads * value_width)

    @property
    def weight(self) -> Tensor:
        """The filters [k, kernel, kernel] of the training form. A map of one tile has no whole one."""
        reach = isqrt(self.filters.shape[-1])
        kernel = reach - self.tile + 1
        return self.filters[0].reshape(-1, reach, reach)[:, :kernel, :kernel]

    def _in_tiles(self, v: Tensor) -> Tensor:
        """The values around each tile, [B, g * g * m, v]."""
        if self.tile == self.side:
            return v
        return F.pad(v, (0, 0, 0, 1)).index_select(1, self.neighbours)


@dataclass(frozen=True)
class ConvolvedPositions:
    """The position term in the published order: every value map convolved with the k filters, then met by the queries.

    Where the layer is narrow that is less work than tiles, as it grows by k v, and tiles' by k + v.
    """

    side: int
    filters: Tensor  # [k, 1, kernel, kernel]

    @property
    def weight(self) -> Tensor:
        """The filters [k, kernel, kernel] of the training form."""
        return self.filters[:, 0]

    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        """Queries [B, n, h, k] and values [B, n, v] to [B, n, h * v]."""
        batch, positions, value_width = v.shape
        maps = v.transpose(1, 2).reshape(-1, 1, self.side, self.side)  # [B v, 1, side, side]
        lambdas = F.conv2d(maps, self.filters, padding=self.filters.shape[-1] // 2)  # [B v, k, side, side]
        lambdas = lambdas.reshape(batch, 1, value_width, -1, positions)  # [B, 1, v, k, n]
        by_map = q.permute(0, 2, 3, 1)[:, :, None]  # [B, h, 1, k, n]
        return (by_map * lambdas).sum(3).flatten(1, 2).transpose(1, 2)


def positions_of(weight: Tensor, side: int, heads: int) -> TiledPositions | ConvolvedPositions:
    """The cheaper way for filters [k, kernel, kernel] on maps of a side, by multiplications a position."""
    width, kernel = weight.shape[0], weight.shape[-1]
    tiled = TiledPositions.of(weight, side)
    convolution = kernel**2 * width**2 + heads * width**2
    products = 2 * heads * tiled.filters.shape[-1] * width
    if CONVOLUTION_COST * convolution < products:
        return ConvolvedPositions(side, weight[:, None])
    return tiled


def _constant(index: Indices, weight: Tensor) -> Tensor:
    """An index table beside the weight. Made by numpy: an exporter would take its making into the graph."""
    return torch.from_numpy(index).to(weight.device)


def _tap_index(inside: Indices, along: Indices, kernel: int) -> Indices:
    """Which tap joins each position of a tile [t * t] to each of its neighbourhood [m]; kernel**2 if none does."""
    offset = along[None, :] - inside[:, None] + kernel // 2  # [t, side of m] along one axis
    tap = offset[:, None, :, None] * kernel + offset[None, :, None, :]  # [y, x, y', x']
    near = (offset >= 0) & (offset < kernel)
    tap = np.where(near[:, None, :, None] & near[None, :, None, :], tap, kernel**2)
    return tap.reshape(len(inside) ** 2, len(along) ** 2).astype(np.int32)


def _neighbours(starts: Indices, along: Indices, side: int) -> Indices:
    """Raster positions of the neighbourhoods of tiles at all pairs of `starts`, flat; side**2 if outside."""
    place = starts[:, None] + along[None, :]  # [g, side of m] along one axis
    index = place[:, None, :, None] * side + place[None, :, None, :]  # [gy, gx, y, x]
    on_map = (place >= 0) & (place < side)
    return (
        np.where(on_map[:, None, :, None] & on_map[None, :, None, :], index, side**2).ravel().astype(np.int32)
    )

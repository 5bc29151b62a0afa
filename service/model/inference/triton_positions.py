"""The position term of a Local-lambda as one Triton kernel: the scores between a position and its neighbourhood never
leave the chip. What TiledPositions computes, for maps that are larger than one tile.

Importing this needs `triton`, which PyTorch's CUDA builds bring along.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

STRIP = 16  # positions of one map row that a program computes; their neighbourhoods overlap almost wholly
LEAST_SIDE_OF_A_PRODUCT = 16  # of tl.dot
WARPS = 8  # of a program; with 4 the published widths do not fit in a GPU's registers


@triton.jit  # type: ignore[untyped-decorator]
def position_kernel(  # type: ignore[no-untyped-def]
    queries,
    values,
    filters,
    output,
    side,
    key_width: tl.constexpr,
    value_width: tl.constexpr,
    heads: tl.constexpr,
    kernel: tl.constexpr,
    positions: tl.constexpr,
    key_block: tl.constexpr,
    value_block: tl.constexpr,
    tap_block: tl.constexpr,
    column_block: tl.constexpr,
):
    """A strip of positions with all heads, R = positions x heads rows, filter row by filter row.

    Blocks are powers of two that hold: keys, values, the taps of a filter row, the columns of its neighbourhood.
    """
    first_x = tl.program_id(0) * positions
    y = tl.program_id(1)
    before = tl.program_id(2).to(tl.int64) * side * side  # positions of the samples before this one
    queries += before * heads * key_width
    values += before * value_width
    output += before * heads * value_width
    half = kernel // 2

    row = tl.arange(0, positions * heads)
    position = row // heads
    is_on_map = first_x + position < side  # [R]
    row_index = (y * side + first_x) * heads + row  # [R]
    key = tl.arange(0, key_block)
    value = tl.arange(0, value_block)
    tap = tl.arange(0, tap_block)
    column = tl.arange(0, column_block)

    q = tl.load(
        queries + row_index[:, None] * key_width + key[None, :],
        mask=is_on_map[:, None] & (key < key_width)[None, :],
        other=0.0,
    )  # [R, key_block]
    distance = column[None, :] - position[:, None]  # [R, column_block]
    is_near = (distance >= 0) & (distance < kernel)
    tap_of_column = tl.where(is_near, distance, 0)
    column_x = first_x + column - half
    is_column = (column_x >= 0) & (column_x < side)

    total = tl.zeros([positions * heads, value_block], dtype=tl.float32)
    for filter_row in range(tl.maximum(half - y, 0), tl.minimum(side + half - y, kernel)):
        taps = tl.load(
            filters + (filter_row * key_width + key[:, None]) * tap_block + tap[None, :],
            mask=(key < key_width)[:, None],
            other=0.0,
        )  # [key_block, tap_block]
        by_tap = tl.dot(q, taps, input_precision="ieee")  # [R, tap_block]
        scores = tl.where(is_near, tl.gather(by_tap, tap_of_column, 1), 0.0)  # [R, column_block]
        value_index = (y + filter_row - half) * side + column_x  # [column_block]
        v = tl.load(
            values + value_index[:, None] * value_width + value[None, :],
            mask=is_column[:, None] & (value < value_width)[None, :],
            other=0.0,
        )  # [column_block, value_block]
        total += tl.dot(scores.to(v.dtype), v, input_precision="ieee")

    tl.store(
        output + row_index[:, None] * value_width + value[None, :],
        total.to(output.dtype.element_ty),
        mask=is_on_map[:, None] & (value < value_width)[None, :],
    )


@dataclass(frozen=True)
class FusedPositions:
    """The position term on a map of `side` x `side`: `filters` [kernel, k, taps], by filter row, zero past the last."""

    side: int
    kernel: int
    filters: Tensor

    @classmethod
    def of(cls, weight: Tensor, side: int) -> FusedPositions:
        """From the filters [k, kernel, kernel] of the training form."""
        kernel = weight.shape[-1]
        by_row = weight.transpose(0, 1)  # [kernel, k, kernel]
        return cls(side, kernel, F.pad(by_row, (0, _width_of_product(kernel) - kernel)).contiguous())

    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        """Queries [B, n, h, k] and values [B, n, v] to [B, n, h * v]. h must be a power of two."""
        batch, positions, heads, key_width = q.shape
        value_width = v.shape[-1]
        output = torch.empty(batch, positions, heads * value_width, dtype=v.dtype, device=v.device)
        # Triton launches on the current device.
        with torch.cuda.device_of(q):  # type: ignore[no-untyped-call]
            position_kernel[(triton.cdiv(self.side, STRIP), self.side, batch)](
                q.contiguous(),
                v.contiguous(),
                self.filters,
                output,
                self.side,
                **sizes(heads, key_width, value_width, self.kernel),
                num_warps=WARPS,
            )
        return output


def sizes(heads: int, key_width: int, value_width: int, kernel: int) -> dict[str, int]:
    """The kernel's constants."""
    return {
        "key_width": key_width,
        "value_width": value_width,
        "heads": heads,
        "kernel": kernel,
        "positions": STRIP,
        "key_block": _width_of_product(key_width),
        "value_block": _width_of_product(value_width),
        "tap_block": _width_of_product(kernel),
        "column_block": _width_of_product(STRIP + kernel - 1),
    }


def _width_of_product(width: int) -> int:
    """The least width of a block that holds `width` and that tl.dot takes."""
    return max(int(triton.next_power_of_2(width)), LEAST_SIDE_OF_A_PRODUCT)

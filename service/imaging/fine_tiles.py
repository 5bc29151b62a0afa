"""The second look at a hole much larger than the model: overlapping tiles at a finer scale than that of its first crop.

The first fill, which the model made of the whole hole at a low resolution, is what the tiles start from; so they agree
on what is where, and add the detail that was too small to be seen. Pure geometry; no pixel of the picture is read here.
"""

from __future__ import annotations

from service.contracts import Box
from service.imaging.crops import LATENT_CELL, Crop, NoiseWindow
from service.imaging.picture import Flags
from service.imaging.spans import stepped_spans

LARGE = 3  # a hole longer than that times the model's side gets fine tiles
MOST_TILES = 36  # for one picture: a second pass of at most that many crops
GAIN = 1.5  # the least by which fine tiles must be finer than the first crop


def fine_tiles(
    hole: Box, flags: Flags, extent: tuple[int, int], *, model_size: int, coarse_side: int, most: int
) -> tuple[Crop, ...]:
    """Tiles over a hole's box, of which `flags` [h, w] are set, in a picture of `extent` (width, height): as fine as
    `most` of them allow, in reading order, without those that would paste nothing. None where they would be hardly
    finer than a crop of `coarse_side` pixels.
    """
    grain = (
        model_size // LATENT_CELL
    )  # a side is a multiple of it, so that a latent cell is a whole number of pixels
    side = model_size
    while side * GAIN <= coarse_side and side <= min(extent):
        tiles = _tiles(hole, flags, extent, side, side // grain)
        if len(tiles) <= most:
            return tiles
        side += max(1, side // (8 * grain)) * grain
    return ()


def noise_windows(tiles: tuple[Crop, ...], model_size: int, stream: int) -> tuple[NoiseWindow, ...]:
    """Each tile's place in the noise that the fine tiles of one hole share."""
    if not tiles:
        return ()
    cells = model_size // LATENT_CELL
    step = tiles[0].side // cells
    left, top = min(tile.box.left for tile in tiles), min(tile.box.top for tile in tiles)
    corners = [(round((t.box.top - top) / step), round((t.box.left - left) / step)) for t in tiles]
    rows, columns = max(row for row, _ in corners) + cells, max(column for _, column in corners) + cells
    return tuple(NoiseWindow(stream, rows, columns, row, column) for row, column in corners)


def _tiles(hole: Box, flags: Flags, extent: tuple[int, int], side: int, step: int) -> tuple[Crop, ...]:
    columns = stepped_spans(hole.left, hole.right, side, extent[0], step)
    rows = stepped_spans(hole.top, hole.bottom, side, extent[1], step)
    return tuple(
        Crop(
            Box(column.start, row.start, column.end, row.end),
            Box(column.core_start, row.core_start, column.core_end, row.core_end),
            side,
        )
        for row in rows
        for column in columns
        if flags[
            row.core_start - hole.top : row.core_end - hole.top,
            column.core_start - hole.left : column.core_end - hole.left,
        ].any()
    )

"""Painting into a palette picture: the fill gets free palette places, else the picture becomes RGB and says
so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contracts import Box
from service.imaging.picture import Bytes8, Flags, Picture, Pixels

PLACES = 256
ENOUGH_PLACES = 32
BECAME_DIRECT = "The palette had no room for the fill's colours: the picture became {mode}."
NEAREST = "The palette had little room for the fill's colours: they were reduced to the nearest ones."

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Patch:
    """New `colors` [h, w, C] for the `changed` pixels [h, w] of a box."""

    box: Box
    colors: Pixels
    changed: Flags


@dataclass(frozen=True, slots=True)
class _Fill:
    """What is to be painted: the distinct `colors` [k, 3], and for all changed pixels, patch after patch,
    which of them they get, `which` [n], and the `alpha` [n] that they keep.
    """

    colors: Bytes8
    which: Indices
    alpha: Bytes8


def repaint(picture: Picture, palette: Bytes8, patches: Sequence[Patch]) -> Picture:
    """A copy of a palette picture, `palette` [n, 4], with RGB patches painted in.

    The fill's colours, reduced to what fits, take the palette places that no pixel uses. If fewer than
    ENOUGH_PLACES are free for a fill of more colours, or the hole is half transparent, the picture becomes
    RGB or RGBA; a GIF can't and gets the nearest colours.
    """
    fill = _collect(picture, palette, patches)
    free = np.flatnonzero(np.bincount(picture.pixels.ravel(), minlength=PLACES) == 0)
    fits = len(fill.colors) <= len(free)
    if picture.format != "GIF" and ((not fits and len(free) < ENOUGH_PLACES) or (fill.alpha < 255).any()):
        return _as_direct(picture, palette, patches)
    added = fill.colors if fits else _reduced(fill.colors[fill.which], len(free))
    extended = _extended(palette, free, added)
    opaque = np.flatnonzero(extended[:, 3] == 255)
    from scipy.spatial import KDTree  # here, as its import is an eighth of a worker's, and palettes are rare

    _, nearest = KDTree(extended[opaque, :3].astype(float)).query(fill.colors.astype(float))
    values = opaque[nearest].astype(np.uint8)[fill.which]
    pixels = _painted(picture.pixels, patches, values)
    notes = picture.notes if fits else (*picture.notes, NEAREST)
    return replace(picture, pixels=pixels, palette=extended, notes=notes)


def _collect(picture: Picture, palette: Bytes8, patches: Sequence[Patch]) -> _Fill:
    colors = np.concatenate([patch.colors[patch.changed] for patch in patches]).astype(np.uint32)
    indices = np.concatenate([picture.window(patch.box)[patch.changed] for patch in patches])
    packed = colors[:, 0] << 16 | colors[:, 1] << 8 | colors[:, 2]
    codes, which = np.unique(packed, return_inverse=True)
    distinct = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8)
    return _Fill(distinct, which, palette[indices, 3])


def _reduced(colors: Bytes8, count: int) -> Bytes8:
    """At most `count` colours [k, 3] that stand for `colors` [n, 3], by median cut."""
    if count == 0:
        return np.zeros((0, 3), np.uint8)
    reduced = Image.fromarray(colors[None]).quantize(count, Image.Quantize.MEDIANCUT)
    return np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)[:count]


def _extended(palette: Bytes8, free: Indices, added: Bytes8) -> Bytes8:
    """The palette with opaque colours added at free places, in order; no longer than needed."""
    places = free[: len(added)]
    length = max(len(palette), int(places.max(initial=-1)) + 1)
    extended = np.tile(np.array([0, 0, 0, 255], np.uint8), (length, 1))
    extended[: len(palette)] = palette
    extended[places, :3] = added
    extended[places, 3] = 255
    return extended


def _painted(pixels: Pixels, patches: Sequence[Patch], values: Pixels) -> Pixels:
    """A copy of `pixels` whose changed ones, patch after patch, take `values` in turn."""
    painted = pixels.copy()
    position = 0
    for patch in patches:
        box, count = patch.box, int(np.count_nonzero(patch.changed))
        window = painted[box.top : box.bottom, box.left : box.right]
        window[patch.changed] = values[position : position + count]
        position += count
    return painted


def _as_direct(picture: Picture, palette: Bytes8, patches: Sequence[Patch]) -> Picture:
    """The picture as RGB, or RGBA where its palette knows transparency."""
    mode = "RGB" if palette[:, 3].min() == 255 else "RGBA"
    pixels = palette[picture.pixels]
    for patch in patches:
        box = patch.box
        window = pixels[box.top : box.bottom, box.left : box.right]
        window[patch.changed, :3] = patch.colors[patch.changed]
    direct = pixels if mode == "RGBA" else np.ascontiguousarray(pixels[..., :3])
    notes = (*picture.notes, BECAME_DIRECT.format(mode=mode))
    return replace(picture, pixels=direct, mode=mode, palette=None, notes=notes)

"""The picture's own colour values, window by window: 1-bit and palette pictures are seen as gray and RGB
here.

Writing back leaves every pixel that is not flagged as it was stored, and alpha everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from service.contracts import Box
from service.imaging.palette import Patch, repaint
from service.imaging.picture import Picture, Pixels


def colors_of(picture: Picture, box: Box) -> Pixels:
    """Colour values [h, w, C] in `box`, without alpha: C is 1 (gray), 3 (RGB) or 4 (CMYK)."""
    stored = picture.window(box)
    if picture.palette is not None:
        return picture.palette[stored, :3]
    if picture.mode == "1":
        return stored[..., None].astype(np.uint8) * 255
    if picture.mode in ("LA", "RGBA"):
        return stored[..., :-1]
    return stored if stored.ndim == 3 else stored[..., None]


def with_patches(picture: Picture, patches: Sequence[Patch]) -> Picture:
    """A copy of the picture with the patches' changed pixels in place; a palette may have to become RGB."""
    if picture.palette is not None:
        return repaint(picture, picture.palette, patches)
    pixels = picture.pixels.copy()
    for patch in patches:
        box = patch.box
        window = pixels[box.top : box.bottom, box.left : box.right]
        colors = _off_key(patch.colors, picture)
        if picture.mode == "1":
            np.copyto(window, colors[..., 0] >= 128, where=patch.changed)
        elif window.ndim == 2:
            np.copyto(window, colors[..., 0], where=patch.changed)
        else:
            np.copyto(window[..., : colors.shape[2]], colors, where=patch.changed[..., None])
    return replace(picture, pixels=pixels)


def _off_key(colors: Pixels, picture: Picture) -> Pixels:
    """Colours moved by one level where they would meet the picture's transparent colour by chance."""
    key = picture.metadata.transparency
    if key is None or picture.mode == "1":
        return colors
    met = (colors == np.asarray(key)).all(axis=2)
    moved = colors.copy()
    last = moved[..., -1]
    last[met] = np.where(last[met] > 0, last[met] - 1, 1)
    return moved

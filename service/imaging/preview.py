"""Small pictures of a job under way: the photo made small, with its holes as far as they are filled.

What is in the holes are a few colours a crop, one a latent cell: what a step implies, with no decoder.
"""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
from PIL import Image

from service.contracts import Box
from service.imaging.crops import Crop
from service.imaging.feather import SoftHole
from service.imaging.native import colors_of
from service.imaging.retouch import Retouch
from service.imaging.tiles import Floats, TileCrop

LONGEST_SIDE = 256  # pixels
SAMPLED_SIDE = (
    1024  # pixels that a large photo is thinned out to first: to average all of it takes longer than a step
)
MOST_BYTES = 20_000
QUALITIES = (80, 60, 40, 20)  # the first that fits
WHITE = 255


class PreviewCanvas:
    """The small picture of one candidate, painted crop by crop. Belongs to one thread. With `color_match` a crop's
    colours get the mean of its photo where that is known: the map from latents is right to a tone at best.

    `size` is its width and height in pixels, in display orientation.
    """

    def __init__(self, retouch: Retouch, *, color_match: bool) -> None:
        longest = max(retouch.picture.size)
        self._scale = min(1.0, LONGEST_SIDE / longest)
        width, height = (max(1, round(side * self._scale)) for side in retouch.picture.size)
        self.size = (width, height)
        first = [crop for region in retouch.regions for crop in region.crops]
        fine = [crop for region in retouch.regions for crop in region.fine]
        self._crops = (*first, *fine)
        self._tiles = retouch.crops if color_match else ()
        self._photo = _small_photo(retouch, self.size)  # [h, w, 3]
        self._alpha = self._small_alpha(retouch.hole)  # [h, w], 1 = the fill alone
        self._fill = self._photo.copy()

    def paint(self, crop: int, colors: Floats) -> None:
        """Put the colours [3, n, n] in [-1, 1] of a crop into its part of the hole; a later crop covers an earlier."""
        view = self._crops[crop]
        if crop < len(self._tiles):
            colors = matched_to_photo(colors, self._tiles[crop])
        target = self._small_box(view.core)
        per_cell = view.side / colors.shape[1]  # pixels of the picture
        frame = self._frame_on(view, target, per_cell, colors.shape[1])
        levels = np.clip((colors + 1) * (WHITE / 2), 0, WHITE).astype(np.float32)
        channels = [_resampled(channel, frame, target, Image.Resampling.BILINEAR) for channel in levels]
        self._fill[target.top : target.bottom, target.left : target.right] = np.stack(channels, axis=2)

    def encoded(self) -> bytes:
        """The picture as a JPEG of at most about MOST_BYTES."""
        weight = self._alpha[..., None]
        mixed = np.rint(self._photo * (1 - weight) + self._fill * weight).astype(np.uint8)
        image = Image.fromarray(mixed)
        data = b""
        for quality in QUALITIES:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=quality)
            data = buffer.getvalue()
            if len(data) <= MOST_BYTES:
                break
        return data

    def _small_box(self, box: Box) -> Box:
        """The pixels of the small picture that a box of the photo touches."""
        width, height = self.size
        return Box(
            min(math.floor(box.left * self._scale), width - 1),
            min(math.floor(box.top * self._scale), height - 1),
            min(math.ceil(box.right * self._scale), width),
            min(math.ceil(box.bottom * self._scale), height),
        )

    def _frame_on(
        self, view: Crop, target: Box, per_cell: float, cells: int
    ) -> tuple[float, float, float, float]:
        """Where `target` of the small picture lies on a crop's cells, no further than they reach."""
        edges = (
            (target.left / self._scale - view.box.left) / per_cell,
            (target.top / self._scale - view.box.top) / per_cell,
            (target.right / self._scale - view.box.left) / per_cell,
            (target.bottom / self._scale - view.box.top) / per_cell,
        )
        left, top, right, bottom = (min(max(edge, 0.0), float(cells)) for edge in edges)
        return left, top, right, bottom

    def _small_alpha(self, hole: SoftHole) -> Floats:
        """How much of each small pixel is the fill's, [h, w]."""
        alpha = np.zeros((self.size[1], self.size[0]), np.float32)
        target = self._small_box(hole.box)
        margin = math.ceil(1 / self._scale)  # a small pixel at the box's edge is partly outside of it
        padded = np.pad(hole.alpha, margin)
        frame = (
            target.left / self._scale - hole.box.left + margin,
            target.top / self._scale - hole.box.top + margin,
            min(target.right / self._scale - hole.box.left + margin, padded.shape[1]),
            min(target.bottom / self._scale - hole.box.top + margin, padded.shape[0]),
        )
        small = Image.fromarray(padded).resize((target.width, target.height), Image.Resampling.BOX, box=frame)
        alpha[target.top : target.bottom, target.left : target.right] = np.asarray(small, np.float32) / 255
        return alpha


def matched_to_photo(colors: Floats, tile: TileCrop) -> Floats:
    """Colours [3, n, n] moved by what they are off in the mean over the cells that are photo alone."""
    cells = colors.shape[1]
    cell = tile.known.shape[0] // cells
    known = tile.known.reshape(cells, cell, cells, cell).all(axis=(1, 3))
    if not known.any():
        return colors
    photo = tile.image.reshape(3, cells, cell, cells, cell).mean(axis=(2, 4))
    shift: Floats = (photo - colors)[:, known].mean(axis=1)
    return colors + shift[:, None, None]


def _small_photo(retouch: Retouch, size: tuple[int, int]) -> Floats:
    """The photo in sRGB, laid over white, as levels [h, w, 3]."""
    picture = retouch.picture
    stride = max(1, max(picture.size) // SAMPLED_SIDE)
    thinned = replace(picture, pixels=np.ascontiguousarray(picture.pixels[::stride, ::stride]))
    whole = Box(0, 0, *thinned.size)
    srgb = retouch.converter.to_srgb(colors_of(thinned, whole))  # [h', w', 3]
    opacity = thinned.opacity(whole)
    if opacity is not None:
        weight = opacity[..., None].astype(np.float32) / 255
        srgb = np.rint(srgb * weight + WHITE * (1 - weight)).astype(np.uint8)
    small = Image.fromarray(np.ascontiguousarray(srgb)).resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float32).copy()


def _resampled(
    channel: Floats, frame: tuple[float, float, float, float], target: Box, method: Image.Resampling
) -> Floats:
    """`frame` (left, top, right, bottom) of a channel at the size of `target`."""
    source = Image.fromarray(np.ascontiguousarray(channel))
    resized: Floats = np.asarray(source.resize((target.width, target.height), method, box=frame))
    return resized

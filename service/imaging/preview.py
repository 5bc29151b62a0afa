"""Small pictures of a job under way: the photo made small, with its holes as far as they are filled.

A hole begins as a smooth continuation of what is around it, never as what is to go. Then it shows a few colours a crop,
one a latent cell: what a step implies, with no decoder. A hole that is looked at twice shows its first fill in between.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from service.contracts import Box
from service.imaging.cell_tone import KnownTone, StartTone
from service.imaging.continuation import continued
from service.imaging.crops import Crop, Region
from service.imaging.fade import Fade
from service.imaging.membrane import Doubles
from service.imaging.retouch import Retouch
from service.imaging.thumbnail import WHITE, Thumbnail
from service.imaging.tiles import Floats, TileCrop

MOST_BYTES = 20_000
QUALITIES = (80, 60, 40, 20)  # the first that fits


class PreviewCanvas:
    """The small picture of one candidate, painted crop by crop: first the crops of the first pass, then the fine tiles,
    once it is `refine`d. Belongs to one thread. With `color_match` a crop's colours get the tone of its photo, or of
    its start.

    `size` is its width and height in pixels, in display orientation.
    """

    def __init__(self, retouch: Retouch, *, color_match: bool) -> None:
        self._thumbnail = Thumbnail.of(retouch.picture, retouch.converter, retouch.hole)
        self.size = self._thumbnail.size
        self._start = continued(self._thumbnail.photo, self._thumbnail.known)  # [h, w, 3]
        self._color_match = color_match
        self._regions = retouch.regions
        layers = [layer for region in retouch.regions for layer in self._layers_of(region)]
        for layer, tile in zip(layers, retouch.crops, strict=True):
            layer.tone = KnownTone(tile) if color_match else None
        self._layers = layers
        self.is_refined = False

    def paint(self, crop: int, colors: Floats) -> None:
        """Show the colours [3, n, n] in [-1, 1] of a crop in its part of the hole; a fine tile's once `refine`d."""
        layer = self._layers[crop]
        self._show(layer, colors if layer.tone is None else layer.tone.matched(colors))

    def refine(self, tiles: Sequence[TileCrop]) -> None:
        """Show the first fill that the fine `tiles` start from, at their resolution."""
        scales = [region.crops[0].side / fine.side for region in self._regions for fine in region.fine]
        regions = [replace(region, crops=region.fine) for region in self._regions]
        layers = [layer for region in regions for layer in self._layers_of(region)]
        for layer, tile, scale in zip(layers, tiles, scales, strict=True):
            layer.tone = StartTone(tile, scale) if self._color_match else None
            self._show(layer, tile.image)
        self._layers += layers
        self.is_refined = True

    def encoded(self) -> bytes:
        """The picture as a JPEG of at most about MOST_BYTES."""
        fill = self._start.copy()
        for layer in self._layers:
            layer.lay_over(fill)
        weight = self._thumbnail.alpha[..., None]
        mixed = np.rint(self._thumbnail.photo * (1 - weight) + fill * weight).astype(np.uint8)
        image = Image.fromarray(mixed)
        data = b""
        for quality in QUALITIES:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=quality)
            data = buffer.getvalue()
            if len(data) <= MOST_BYTES:
                break
        return data

    def _layers_of(self, region: Region) -> Iterator[_Layer]:
        for crop in region.crops:
            target = self._thumbnail.box(crop.core)
            yield _Layer(crop, target, _small_weights(Fade.of(crop, region), target, self._thumbnail.scale))

    def _show(self, layer: _Layer, colors: Floats) -> None:
        frame = self._frame_on(layer.crop, layer.target, colors.shape[1])
        levels = np.clip((colors + 1) * (WHITE / 2), 0, WHITE).astype(np.float32)
        layer.levels = np.stack([_resampled(channel, frame, layer.target) for channel in levels], axis=2)

    def _frame_on(self, crop: Crop, target: Box, cells: int) -> tuple[float, float, float, float]:
        """Where `target` of the small picture lies on a crop's colours, no further than they reach."""
        per_cell, scale = crop.side / cells, self._thumbnail.scale  # pixels of the picture
        edges = (
            (target.left / scale - crop.box.left) / per_cell,
            (target.top / scale - crop.box.top) / per_cell,
            (target.right / scale - crop.box.left) / per_cell,
            (target.bottom / scale - crop.box.top) / per_cell,
        )
        left, top, right, bottom = (min(max(edge, 0.0), float(cells)) for edge in edges)
        return left, top, right, bottom


@dataclass(slots=True)
class _Layer:
    """One crop's part of the small picture: `weights` [h, w, 1] in `target`, and the `levels` [h, w, 3] once it is
    painted.
    """

    crop: Crop
    target: Box
    weights: Floats
    tone: KnownTone | StartTone | None = None
    levels: Floats | None = field(default=None, repr=False)

    def lay_over(self, fill: Floats) -> None:
        """Mix it into what is below, [H, W, 3], where it is painted."""
        if self.levels is not None:
            box = self.target
            below = fill[box.top : box.bottom, box.left : box.right]
            below += (self.levels - below) * self.weights


def _small_weights(fade: Fade, target: Box, scale: float) -> Floats:
    """A crop's weights at the middles of the small pixels of `target`: [h, w, 1]."""
    down = _at_middles(fade.down, fade.core.top, target.top, target.bottom, scale)
    across = _at_middles(fade.across, fade.core.left, target.left, target.right, scale)
    return (down[:, None] * across[None, :])[..., None]


def _at_middles(ramp: Doubles, core_start: int, start: int, end: int, scale: float) -> Floats:
    places = ((np.arange(start, end) + 0.5) / scale - core_start).astype(int)
    weights: Floats = ramp[np.clip(places, 0, len(ramp) - 1)].astype(np.float32)
    return weights


def _resampled(channel: Floats, frame: tuple[float, float, float, float], target: Box) -> Floats:
    """`frame` (left, top, right, bottom) of a channel at the size of `target`."""
    source = Image.fromarray(np.ascontiguousarray(channel))
    resized: Floats = np.asarray(
        source.resize((target.width, target.height), Image.Resampling.BILINEAR, box=frame)
    )
    return resized

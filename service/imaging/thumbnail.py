"""A job's photo made small, in sRGB and display orientation, and how much of each small pixel its hole is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from service.contracts import Box
from service.imaging.area import Floats
from service.imaging.color import ColorConverter
from service.imaging.feather import SoftHole
from service.imaging.native import colors_of
from service.imaging.picture import Flags, Picture

LONGEST_SIDE = 256  # pixels
SAMPLED_SIDE = (
    1024  # pixels that a large photo is thinned out to first: to average all of it takes longer than a step
)
WHITE = 255


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """`photo` [h, w, 3] are levels, over white where it is transparent; `alpha` [h, w] is 1 where the fill alone is
    seen; `known` [h, w] flags what is visible photo alone. `scale` is small pixels to one of the photo.
    """

    photo: Floats
    alpha: Floats
    known: Flags
    scale: float

    @classmethod
    def of(cls, picture: Picture, converter: ColorConverter, hole: SoftHole) -> Thumbnail:
        """Of a photo with a hole."""
        scale = min(1.0, LONGEST_SIDE / max(picture.size))
        width, height = (max(1, round(side * scale)) for side in picture.size)
        photo, visible = _small_photo(picture, converter, (width, height))
        small = cls(photo, np.zeros((height, width), np.float32), visible, scale)
        alpha = small._alpha_of(hole)
        return replace(small, alpha=alpha, known=visible & (alpha == 0))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.photo.shape[1], self.photo.shape[0]

    def box(self, box: Box) -> Box:
        """The small pixels that a box of the photo touches."""
        width, height = self.size
        return Box(
            min(math.floor(box.left * self.scale), width - 1),
            min(math.floor(box.top * self.scale), height - 1),
            min(math.ceil(box.right * self.scale), width),
            min(math.ceil(box.bottom * self.scale), height),
        )

    def _alpha_of(self, hole: SoftHole) -> Floats:
        alpha = np.zeros_like(self.alpha)
        target = self.box(hole.box)
        margin = math.ceil(1 / self.scale)  # a small pixel at the box's edge is partly outside of it
        padded = np.pad(hole.alpha, margin)
        frame = (
            target.left / self.scale - hole.box.left + margin,
            target.top / self.scale - hole.box.top + margin,
            min(target.right / self.scale - hole.box.left + margin, padded.shape[1]),
            min(target.bottom / self.scale - hole.box.top + margin, padded.shape[0]),
        )
        small = Image.fromarray(padded).resize((target.width, target.height), Image.Resampling.BOX, box=frame)
        alpha[target.top : target.bottom, target.left : target.right] = np.asarray(small, np.float32) / WHITE
        return alpha


def _small_photo(picture: Picture, converter: ColorConverter, size: tuple[int, int]) -> tuple[Floats, Flags]:
    """The levels [h, w, 3] of a photo over white, and where [h, w] all of it is opaque."""
    stride = max(1, max(picture.size) // SAMPLED_SIDE)
    thinned = replace(picture, pixels=np.ascontiguousarray(picture.pixels[::stride, ::stride]))
    whole = Box(0, 0, *thinned.size)
    srgb = converter.to_srgb(colors_of(thinned, whole))  # [h', w', 3]
    opacity = thinned.opacity(whole)
    opaque = np.ones((size[1], size[0]), np.bool_)
    if opacity is not None:
        weight = opacity[..., None].astype(np.float32) / WHITE
        srgb = np.rint(srgb * weight + WHITE * (1 - weight)).astype(np.uint8)
        opaque = np.asarray(Image.fromarray(opacity).resize(size, Image.Resampling.BOX)) == WHITE
    small = Image.fromarray(np.ascontiguousarray(srgb)).resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float32), opaque

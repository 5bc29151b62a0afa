"""Training samples of the inpainting task: a square photograph, its hole, and its token class
(Latent Categories Guidance: what the hole should hold is background, or is the object that the mask was drawn for).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from training.masks import Mask, MaskSampler
from training.photos import CropSampler, Pixels

BACKGROUND = 0
FOREGROUND = 1


@dataclass(frozen=True)
class Sample:
    """`picture` [s, s, 3] uint8, `hole` [s, s], `category` BACKGROUND or FOREGROUND."""

    picture: Pixels
    hole: Mask
    category: int


def cell_mask(hole: Mask, cell: int) -> npt.NDArray[np.bool_]:
    """Whole latent cells that the hole touches (max-pool): [s, s] -> [s / cell, s / cell]."""
    side = hole.shape[0] // cell
    return np.asarray(hole.reshape(side, cell, side, cell).any(axis=(1, 3)))


def place_cutout(cutout: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """The object, scaled to 25-70 % of the side, flipped half the time, anywhere on a clear [side, side, 4] picture."""
    scale = rng.uniform(0.25, 0.7) * side / max(cutout.shape[:2])
    size = (max(1, round(cutout.shape[1] * scale)), max(1, round(cutout.shape[0] * scale)))
    picture = Image.fromarray(cutout).resize(size, Image.Resampling.BOX)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(picture, (int(rng.integers(side - size[0] + 1)), int(rng.integers(side - size[1] + 1))))
    return np.asarray(canvas)


def dilated(mask: Mask, rng: np.random.Generator) -> Mask:
    """Grown once or twice by a 3, 5 or 7 pixel kernel, as published."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    for _ in range(int(rng.integers(1, 3))):
        picture = picture.filter(ImageFilter.MaxFilter(int(rng.choice([3, 5, 7]))))
    return np.asarray(picture) > 127


@dataclass(frozen=True)
class SampleSource:
    """Draws samples: random holes, object-shaped holes on background, and objects with holes of their own."""

    crops: CropSampler
    holes: MaskSampler
    cutouts: Sequence[Pixels]
    object_hole_probability: float = 0.25
    foreground_probability: float = 0.15

    def draw(self, rng: np.random.Generator) -> Sample:
        """One sample."""
        picture = self.crops.draw(rng)
        kind = rng.random()
        if kind >= self.object_hole_probability + self.foreground_probability:
            return Sample(picture, self.holes.draw(rng), BACKGROUND)
        placed = place_cutout(self.cutouts[int(rng.integers(len(self.cutouts)))], self.crops.side, rng)
        hole = dilated(placed[..., 3] > 64, rng)
        if kind < self.object_hole_probability:
            return Sample(picture, hole, BACKGROUND)
        alpha = placed[..., 3:].astype(np.float32) / 255
        composed = picture * (1 - alpha) + placed[..., :3] * alpha
        return Sample(np.rint(composed).astype(np.uint8), hole, FOREGROUND)

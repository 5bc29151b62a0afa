"""Training samples of the inpainting task: a square picture, its hole, and its category (Latent Categories Guidance).

"background": a hole of random strokes and boxes, or of the picture's own mask of the scene, or of a foreign
object's shape, which is what removing an object needs. "foreground": the hole is the mask of an object that is
there, or a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.categories import BACKGROUND, FOREGROUND
from training.crops import Crop, random_crop
from training.listed_picture import ListedPicture
from training.masks import LEAST_COVERED, Mask, MaskSampler, dilated
from training.photos import Pixels
from training.readable_pictures import ReadablePictures

# How often a hole may miss a small object, or a placed object be too large, before something else is done.
_TRIES = 10


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


def laid_on(picture: Pixels, cutout: Pixels) -> Pixels:
    """The cut-out [s, s, 4] over the picture [s, s, 3]."""
    alpha = cutout[..., 3:].astype(np.float32) / 255
    return np.rint(picture * (1 - alpha) + cutout[..., :3] * alpha).astype(np.uint8)


@dataclass(frozen=True)
class SampleShares:
    """How often each kind of sample is drawn, as probabilities.

    Of background entries: `object_hole` have a hole of a foreign object's shape, `cutout` a cut-out laid on them
    (which makes them foreground), and of the rest with a mask of their own, `scene_hole` have that mask as their
    hole. Of foreground entries, `part_hole` (published) have a random hole's part that lies within the object.
    """

    object_hole: float = 0.25
    cutout: float = 0.15
    scene_hole: float = 0.5
    part_hole: float = 0.5


@dataclass(frozen=True)
class SampleSource:
    """Draws samples of [side, side] pixels from crops of at least `least_crop` of a picture's shorter side.

    Shapes of foreign objects come from `cutouts`, [H, W, 4] each, and from the foreground entries of the list;
    without either, and without cut-outs to lay on pictures, random holes take their share.
    """

    pictures: ReadablePictures
    side: int
    holes: MaskSampler
    cutouts: Sequence[Pixels] = ()
    least_crop: float = 0.6
    shares: SampleShares = SampleShares()

    def draw(self, rng: np.random.Generator, index: int | None = None) -> Sample:
        """One sample of the picture at `index`, or of any. Raises DataError when no picture can be read."""
        if index is None:
            index = int(rng.integers(len(self.pictures)))
        entry = self.pictures.read(index)
        return self._of_object(entry, rng) if entry.category == FOREGROUND else self._of_scene(entry, rng)

    def _of_scene(self, entry: ListedPicture, rng: np.random.Generator) -> Sample:
        height, width = entry.pixels.shape[:2]
        crop = random_crop(height, width, rng, side=self.side, least=self.least_crop)
        picture = crop.of_picture(entry.pixels, self.side)
        kind, shapes = rng.random(), len(self.cutouts) + len(self.pictures.foreground)
        if kind < self.shares.object_hole and shapes:
            placed = self._placed(self._foreign_object(int(rng.integers(shapes))), rng)
            if placed is not None:
                return Sample(picture, placed[1], BACKGROUND)
        elif 0 <= kind - self.shares.object_hole < self.shares.cutout and self.cutouts:
            placed = self._placed(self.cutouts[int(rng.integers(len(self.cutouts)))], rng)
            if placed is not None:
                return Sample(laid_on(picture, placed[0]), placed[1], FOREGROUND)
        return self._with_own_or_random_hole(entry, crop, picture, rng)

    def _with_own_or_random_hole(
        self, entry: ListedPicture, crop: Crop, picture: Pixels, rng: np.random.Generator
    ) -> Sample:
        if entry.mask is not None and rng.random() < self.shares.scene_hole:
            hole = dilated(crop.of_mask(entry.mask, self.side), rng, self.holes.dilation)
            if LEAST_COVERED < hole.mean() <= self.holes.most:
                return Sample(picture, hole, BACKGROUND)
        return Sample(picture, self.holes.draw(rng), BACKGROUND)

    def _of_object(self, entry: ListedPicture, rng: np.random.Generator) -> Sample:
        """A crop with some of the object in it, and the object as its hole."""
        assert entry.mask is not None  # lists refuse foreground entries without one
        rows, columns = np.nonzero(entry.mask)
        pixel = int(rng.integers(len(rows)))
        height, width = entry.mask.shape
        around = int(rows[pixel]), int(columns[pixel])
        crop = random_crop(height, width, rng, side=self.side, least=self.least_crop, around=around)
        hole = self._within(crop.of_mask(entry.mask, self.side), rng)
        return Sample(crop.of_picture(entry.pixels, self.side), hole, FOREGROUND)

    def _within(self, shape: Mask, rng: np.random.Generator) -> Mask:
        """The object's shape, grown, or a random hole's part within it; always a part when it covers too much."""
        whole = dilated(shape, rng, self.holes.dilation)
        is_too_large = whole.mean() > self.holes.most
        if is_too_large or rng.random() < self.shares.part_hole:
            tries = 0
            while is_too_large or tries < _TRIES:
                part: Mask = shape & self.holes.draw(rng)
                if part.any():
                    return part
                tries += 1
        return whole

    def _placed(self, cutout: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask] | None:
        """The object on a clear picture [s, s, 4], and its hole, grown; placed anew while that covers too much.

        None for a shape too sparse to be seen at this size.
        """
        for _ in range(_TRIES):
            placed = place_cutout(cutout, self.side, rng)
            hole = dilated(placed[..., 3] > 64, rng, self.holes.dilation)
            if 0 < hole.mean() <= self.holes.most:
                return placed, hole
        return None

    def _foreign_object(self, number: int) -> Pixels:
        """A cut-out, or the shape of the list's own foreground entries, which are numbered after the cut-outs."""
        if number < len(self.cutouts):
            return self.cutouts[number]
        mask = self.pictures.read_object_mask(number - len(self.cutouts))
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        object_pixels = np.zeros((*shape.shape, 4), np.uint8)
        object_pixels[..., 3] = shape * np.uint8(255)
        return object_pixels

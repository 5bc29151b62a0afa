"""Square crops of pictures and of their masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.masks import Mask

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Crop:
    """A square of `square` pixels a side with its upper left corner, mirrored or not."""

    top: int
    left: int
    square: int
    mirrored: bool

    def of_picture(self, picture: Picture, side: int) -> Picture:
        """[H, W, 3] -> [side, side, 3]; smooth where it is enlarged."""
        enlarged = self.square < side
        return self._resized(picture, side, Image.Resampling.BICUBIC if enlarged else Image.Resampling.BOX)

    def of_mask(self, mask: Mask, side: int) -> Mask:
        """[H, W] -> [side, side]; a pixel that the mask touches belongs to it, so that thin parts stay."""
        return self._resized(mask.astype(np.uint8) * 255, side, Image.Resampling.BOX) > 0

    def _resized(self, pixels: Picture, side: int, filtered: Image.Resampling) -> Picture:
        """The square, mirrored if it is to be; BOX means over areas where it is larger than `side`."""
        cut = pixels[self.top : self.top + self.square, self.left : self.left + self.square]
        if self.square != side:
            cut = np.asarray(Image.fromarray(cut).resize((side, side), filtered))
        return np.ascontiguousarray(cut[:, ::-1] if self.mirrored else cut)


def random_crop(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    side: int,
    least: float,
    around: tuple[int, int] | None = None,
) -> Crop:
    """A crop of `least`..1 times the shorter side, of `side` pixels at least where there are as many, that has the
    pixel `around` (row, column) in it when one is given.
    """
    short = min(height, width)
    lowest = max(side, int(short * least))
    square = int(rng.integers(min(lowest, short), short + 1))
    row, column = (None, None) if around is None else around
    top = _start(height, square, row, rng)
    left = _start(width, square, column, rng)
    return Crop(top, left, square, bool(rng.random() < 0.5))


def _start(length: int, square: int, inside: int | None, rng: np.random.Generator) -> int:
    first, last = 0, length - square
    if inside is not None:
        first, last = max(first, inside - square + 1), min(last, inside)
    return int(rng.integers(first, last + 1))

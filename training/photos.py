"""Photographs and cut-out objects for training, kept in memory as uint8, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.crops import random_crop

Pixels = npt.NDArray[np.uint8]


def _load(folder: Path, pattern: str, mode: str, content: str) -> list[Pixels]:
    """Every picture of a folder that fits the pattern, in name order, in a mode of Pillow's."""
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"no {pattern} in {folder}: give the folder of {content}")

    def pixels(path: Path) -> Pixels:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode))

    with ThreadPoolExecutor() as pool:
        return list(pool.map(pixels, paths))


def load_photos(folder: Path) -> list[Pixels]:
    """Every JPEG of a folder in name order, [H, W, 3]. Raises FileNotFoundError when there is none."""
    return _load(folder, "*.jpg", "RGB", "training photographs")


def load_cutouts(folder: Path) -> list[Pixels]:
    """Every PNG of a folder in name order, [H, W, 4] with an alpha channel. Raises as `load_photos`."""
    return _load(folder, "*.png", "RGBA", "cut-out objects")


@dataclass(frozen=True)
class CropSampler:
    """Random crops: a square of `least`..1 times the short side, resized to `side` pixels, flipped half the time."""

    photos: Sequence[Pixels]
    side: int
    least: float

    def draw(self, rng: np.random.Generator) -> Pixels:
        """One crop [side, side, 3]; only a photograph whose shorter side is below `side` is enlarged."""
        photo = self.photos[int(rng.integers(len(self.photos)))]
        height, width = photo.shape[:2]
        crop = random_crop(height, width, rng, side=self.side, least=self.least)
        return crop.of_picture(photo, self.side)

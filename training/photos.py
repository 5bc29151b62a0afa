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


PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def photo_paths(folder: Path) -> list[Path]:
    """Every JPEG, PNG and WebP of a folder in name order. Raises FileNotFoundError when there is none."""
    return _paths(folder, PICTURE_SUFFIXES, "training photographs")


def _paths(folder: Path, suffixes: tuple[str, ...], content: str) -> list[Path]:
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in suffixes)
    if not paths:
        raise FileNotFoundError(f"no *{', *'.join(suffixes)} in {folder}: give the folder of {content}")
    return paths


def _load(paths: Sequence[Path], mode: str) -> list[Pixels]:
    """The pictures, in a mode of Pillow's."""

    def pixels(path: Path) -> Pixels:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode))

    with ThreadPoolExecutor() as pool:
        return list(pool.map(pixels, paths))


def load_photos(folder: Path) -> list[Pixels]:
    """The pictures of `photo_paths`, [H, W, 3]. Raises as it does."""
    return _load(photo_paths(folder), "RGB")


def load_cutouts(folder: Path) -> list[Pixels]:
    """Every PNG of a folder in name order, [H, W, 4] with an alpha channel. Raises as `load_photos`."""
    return _load(_paths(folder, (".png",), "cut-out objects"), "RGBA")


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

"""Photographs and cut-out objects for training, kept in memory as uint8, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def _load_rgb(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _load_rgba(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA"))


def load_photos(folder: Path) -> list[Pixels]:
    """Every JPEG of a folder in name order, [H, W, 3]. Raises FileNotFoundError when there is none."""
    paths = sorted(folder.glob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"no *.jpg in {folder}: give the folder of training photographs")
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_load_rgb, paths))


def load_cutouts(folder: Path) -> list[Pixels]:
    """Every PNG of a folder in name order, [H, W, 4] with an alpha channel."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise FileNotFoundError(f"no *.png in {folder}: give the folder of cut-out objects")
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_load_rgba, paths))


@dataclass(frozen=True)
class CropSampler:
    """Random crops: a square of `least`..1 times the short side, resized to `side` pixels, flipped half the time."""

    photos: Sequence[Pixels]
    side: int
    least: float

    def draw(self, rng: np.random.Generator) -> Pixels:
        """One crop [side, side, 3]; only a photograph whose shorter side is below `side` is enlarged."""
        photo = self.photos[int(rng.integers(len(self.photos)))]
        short = min(photo.shape[:2])
        lowest = max(self.side, int(short * self.least))
        square = int(rng.integers(min(lowest, short), short + 1))
        top = int(rng.integers(photo.shape[0] - square + 1))
        left = int(rng.integers(photo.shape[1] - square + 1))
        crop = photo[top : top + square, left : left + square]
        if square != self.side:
            resized = Image.fromarray(crop).resize(
                (self.side, self.side), Image.Resampling.BOX, reducing_gap=None
            )
            crop = np.asarray(resized)
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return np.ascontiguousarray(crop)

"""Small photographs, cut-outs and a benchmark's folders, made in the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from training.photos import Pixels

SIDE = 64


def photo(seed: int, side: int = SIDE) -> Pixels:
    """A smooth picture [side, side, 3] with some texture."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float64)
    return np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def write_photos(folder: Path, count: int) -> Path:
    """Photographs as JPEG files."""
    folder.mkdir(parents=True)
    for seed in range(count):
        Image.fromarray(photo(seed, 96)).save(folder / f"{seed:04d}.jpg", quality=95)
    return folder


def write_cutouts(folder: Path) -> Path:
    """Two objects with an alpha channel: a disc and a bar."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:40, :40]
    shapes = {"disc": (x - 20) ** 2 + (y - 20) ** 2 < 300, "bar": (y > 10) & (y < 30)}
    for seed, (name, shape) in enumerate(shapes.items()):
        pixels = np.dstack([photo(seed, 40), shape.astype(np.uint8) * 255])
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def write_pairs(folder: Path, count: int, side: int = SIDE) -> tuple[Path, Path]:
    """Pictures and masks of the same names, as a benchmark has them: (pictures, masks)."""
    pictures, masks = folder / "pictures", folder / "masks"
    pictures.mkdir(parents=True)
    masks.mkdir()
    for number in range(count):
        mask = np.zeros((side, side), np.uint8)
        mask[8 + number : 32 + number, 16:40] = 255
        Image.fromarray(photo(number, side)).save(pictures / f"{number:03d}.png")
        Image.fromarray(mask).save(masks / f"{number:03d}.png")
    return pictures, masks

"""What a method is measured on: a photograph and a hole in it. Holes of the photographs' evaluation are drawn from
fixed seeds, so that they are the same on every run and for every model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from training.evaluation_masks import EvaluationMaskSampler
from training.masks import Mask
from training.photos import Pixels, load_cutouts, load_photos, photo_paths
from training.samples import place_cutout

KINDS = ("strokes", "boxes", "object")


@dataclass(frozen=True)
class Case:
    """One photograph [h, w, 3] with one hole [h, w]; `name` is the photograph's file name, `kind` that of the hole."""

    name: str
    photo: Pixels
    hole: Mask
    kind: str


def hole_of(kind: str, side: int, cutouts: list[Pixels], rng: np.random.Generator) -> Mask:
    """A hole [side, side] of one kind, at most half of the picture."""
    if kind == "object":
        shape: Mask = place_cutout(cutouts[int(rng.integers(len(cutouts)))], side, rng)[..., 3] > 64
        return shape
    return EvaluationMaskSampler(side, box_probability=float(kind == "boxes")).draw(rng)


def photo_cases(photos: Path, cutouts: Path, *, side: int, most: int, seed: int) -> Iterator[Case]:
    """Every photograph once with each kind of hole, made [side, side]. Only the first `most` if that is not 0."""
    shapes = load_cutouts(cutouts)
    names = [path.name for path in photo_paths(photos)][: most or None]
    for index, (name, photo) in enumerate(zip(names, load_photos(photos), strict=False)):
        square = np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BOX))
        for number, kind in enumerate(KINDS):
            rng = np.random.default_rng((seed, index, number))
            yield Case(name, square, hole_of(kind, side, shapes, rng), kind)

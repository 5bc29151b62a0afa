"""Photographs with holes for the samplers' benchmark, and how far two fills of one hole are apart.

Holes and features are those of the training's evaluation; imported when it is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from service.denoising import Array
from service.engine.base import Tile
from training.cases import Case as Case
from training.cases import hole_of
from training.features import feature_distance
from training.photos import Pixels, load_photos, photo_paths
from training.scores import FeatureJudge

KINDS = ("boxes", "strokes")
SEED = 7


def sampler_cases(photos: Path, side: int, most: int) -> Iterator[Case]:
    """The first `most` photographs of a folder, made [side, side], each with one hole, of alternating kinds."""
    names = [path.name for path in photo_paths(photos)][:most]
    for index, (name, photo) in enumerate(zip(names, load_photos(photos), strict=False)):
        square = np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC))
        kind = KINDS[index % len(KINDS)]
        yield Case(name, square, hole_of(kind, side, [], np.random.default_rng((SEED, index))), kind)


def tile_of(case: Case) -> Tile:
    """What the model sees of it."""
    image = (case.photo.transpose(2, 0, 1) / 127.5 - 1).astype(np.float32)
    return Tile(image, case.hole.astype(np.float32))


def filled(case: Case, fill: Array) -> Pixels:
    """The photograph with its hole filled from `fill` [3, s, s] in [-1, 1], as 8 bits."""
    pixels = np.rint((fill.transpose(1, 2, 0) + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return np.where(case.hole[..., None], pixels, case.photo)


def levels_between(case: Case, one: Array, other: Array) -> float:
    """Mean |difference| of two fills [3, s, s] in the hole, in levels of 255."""
    return float(np.abs(one - other)[:, case.hole].mean() * 127.5)


class Features:
    """Feature maps of a case's pictures, each computed once."""

    def __init__(self) -> None:
        self._judge = FeatureJudge()

    def of(self, picture: npt.NDArray[np.uint8]) -> list[torch.Tensor]:
        """The maps of a picture [s, s, 3]."""
        return self._judge.maps(picture)

    def distance(self, one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
        """The feature distance that the model cards report."""
        return float(feature_distance(one, other)[0])

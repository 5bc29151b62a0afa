"""A benchmark's set: a folder of pictures and a folder of masks of the same names, read pair by pair.

Pairs that can't be measured are not measured and are listed, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field
from pydantic.dataclasses import dataclass as validated_dataclass

from training.cases import Case
from training.errors import DataError
from training.photos import PICTURE_SUFFIXES, Pixels

KIND = "given"


@validated_dataclass(frozen=True, config={"extra": "forbid"})
class PictureSet:
    """`masks` (white = fill) have their pictures' names, whatever the suffix; every picture is `size` x `size`.

    FID, KID and the Frechet feature distance are to the pictures of `reference`, or to `pictures` without one.
    `model` is measured on this set instead of the recipe's: the paper's are tuned to their sets.
    """

    name: Annotated[str, Field(pattern=r"^[^/\\\x00.][^/\\\x00]*$")]  # of a folder of results too
    pictures: Path
    masks: Path
    size: int
    reference: Path | None = None
    model: str = ""


@dataclass(frozen=True)
class Pair:
    """One picture's file and its mask's; `name` is the picture's path in its folder, without the suffix."""

    name: str
    picture: Path
    mask: Path


@dataclass(frozen=True)
class Skipped:
    """A pair that was not measured, and why."""

    name: str
    reason: str


class BadPicture(Exception):  # noqa: N818 - reads as what happened
    """A file is not a picture, or not one of the set's size."""


def picture_files(folder: Path) -> dict[str, Path]:
    """Every picture below a folder by its path there without the suffix, in order of names.

    Raises DataError where there is no folder, no picture, or two pictures of one name.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give one of pictures ({', '.join(PICTURE_SUFFIXES)})")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise DataError(
                f"{files[name]} and {path} have one name: a mask could be of either. Keep one of them"
            )
        files[name] = path
    if not files:
        raise DataError(f"{folder} holds no picture: put some there ({', '.join(PICTURE_SUFFIXES)})")
    return files


def find_pairs(wanted: PictureSet) -> tuple[list[Pair], list[Skipped]]:
    """The pairs of a set in order of names, and the pictures that have no mask. Raises DataError as `picture_files`."""
    masks = picture_files(wanted.masks)
    pairs, skipped = [], []
    for name, picture in picture_files(wanted.pictures).items():
        if name in masks:
            pairs.append(Pair(name, picture, masks[name]))
        else:
            skipped.append(Skipped(name, f"no mask of that name in {wanted.masks}"))
    return pairs, skipped


def read_picture(path: Path, mode: str) -> Pixels:
    """A picture in a mode of Pillow's. Raises BadPicture for a file that is none."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode))
    except (OSError, Image.DecompressionBombError) as error:
        raise BadPicture(f"{path.name} can't be read: {error}") from error


def read_pair(pair: Pair, size: int) -> Case:
    """The case of a pair: photo [size, size, 3], hole [size, size]. Raises BadPicture, also for an empty mask."""
    photo, mask = read_picture(pair.picture, "RGB"), read_picture(pair.mask, "L")
    for path, pixels in ((pair.picture, photo), (pair.mask, mask)):
        height, width = pixels.shape[:2]
        if (width, height) != (size, size):
            raise BadPicture(f"{path.name} is {width} x {height}, the set's size is {size} x {size}")
    hole = mask > 127
    if not hole.any():
        raise BadPicture(f"{pair.mask.name} is black: nothing is to be filled")
    return Case(pair.name, photo, hole, KIND)

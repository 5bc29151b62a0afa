"""A plain folder of pictures as a picture list, with masks of the same names in another folder if there are any."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from training.categories import FOREGROUND
from training.errors import DataError
from training.listed_picture import PictureList
from training.photos import PICTURE_SUFFIXES


class PictureFolder(PictureList):
    """Every picture below a folder, in the order of the paths, all of one category.

    The mask of `a/b.jpg` is `a/b.png` (or another picture's suffix) below `masks`; it may be missing. Raises
    DataError for a folder without pictures, and for foreground pictures without masks.
    """

    def __init__(self, folder: Path, *, masks: Path | None = None, category: int) -> None:
        if category == FOREGROUND and masks is None:
            raise DataError(
                f"{folder}: the prompt foreground needs masks, the objects' own: set 'masks' to a folder"
            )
        self.folder, self.masks = folder, masks
        self.paths = _pictures_below(folder, besides=masks)
        if not self.paths:
            raise DataError(
                f"no {', '.join(PICTURE_SUFFIXES)} in or below {folder}: give the folder of pictures"
            )
        if masks is not None and not _pictures_below(masks):
            raise DataError(f"no {', '.join(PICTURE_SUFFIXES)} in or below {masks}: give the folder of masks")
        self.categories = np.full(len(self.paths), category, np.int8)

    def name(self, index: int) -> str:
        """The path below the folder."""
        return self.paths[index]

    def picture_bytes(self, index: int) -> bytes:
        """The file's content."""
        return (self.folder / self.paths[index]).read_bytes()

    def mask_bytes(self, index: int) -> bytes | None:
        """The content of the file of the same name below the folder of masks."""
        if self.masks is None:
            return None
        stem = (self.masks / self.paths[index]).with_suffix("")
        for suffix in (".png", *PICTURE_SUFFIXES):
            try:
                return stem.with_name(stem.name + suffix).read_bytes()
            except FileNotFoundError:
                continue
        return None


def _pictures_below(folder: Path, *, besides: Path | None = None) -> list[str]:
    """Paths below the folder, sorted, without those below the folder `besides`."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    left_out = None if besides is None else besides.resolve()
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if Path(parent, name).resolve() != left_out]
        below = Path(parent).relative_to(folder)
        found += [(below / name).as_posix() for name in files if name.lower().endswith(PICTURE_SUFFIXES)]
    return sorted(found)

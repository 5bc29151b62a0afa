"""The entries of a picture list that can be used: a bad one is skipped, listed, and the next good one stands in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np

from training.categories import FOREGROUND
from training.errors import DataError
from training.listed_picture import ListedPicture, PictureError, PictureList
from training.masks import Mask

SKIPPED_FILE = "skipped.tsv"
# More bad entries than these, one after another, are a fault of the storage or of the list, not of pictures.
MOST_IN_A_ROW = 100

Content = TypeVar("Content")


class ReadablePictures:
    """Reads a list for several threads. Which entry stands in for a bad one depends on the list alone.

    Pictures with a side below `shortest_side` pixels are skipped too. `cache` keeps what was read in memory: for
    small sets.
    """

    def __init__(self, pictures: PictureList, *, shortest_side: int = 64, cache: bool = False) -> None:
        self.pictures, self.shortest_side = pictures, shortest_side
        self.foreground = np.flatnonzero(pictures.categories == FOREGROUND)
        self._skipped: dict[str, str] = {}  # reason by entry
        self._lock = Lock()
        self._kept: dict[int, ListedPicture] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, index: int) -> ListedPicture:
        """The entry, or the next good one; after the last comes the first. Raises DataError as `_first_good`."""
        return self._first_good(lambda offset: (index + offset) % len(self), len(self), self._read)

    def read_object_mask(self, number: int) -> Mask:
        """The mask of the list's foreground entry of that number, or of the next good one."""

        def entry(offset: int) -> int:
            return int(self.foreground[(number + offset) % len(self.foreground)])

        return self._first_good(entry, len(self.foreground), self._read_mask)

    def take_skipped(self) -> dict[str, str]:
        """What was skipped since the last call, reason by entry."""
        with self._lock:
            taken, self._skipped = self._skipped, {}
        return taken

    def _read(self, index: int) -> ListedPicture:
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        picture = self.pictures.read(index)
        height, width = picture.pixels.shape[:2]
        if min(height, width) < self.shortest_side:
            raise PictureError(
                f"{width} x {height} pixels; the shortest side allowed is {self.shortest_side}"
            )
        if self._kept is not None:
            self._kept[index] = picture
        return picture

    def _read_mask(self, index: int) -> Mask:
        mask = self.pictures.read_mask(index)
        assert mask is not None  # `read_mask` refuses foreground entries without one
        return mask

    def _first_good(self, entry: Callable[[int], int], count: int, read: Callable[[int], Content]) -> Content:
        """The first of `count` entries that can be read. Raises DataError when MOST_IN_A_ROW, or all, can't be."""
        tries = min(count, MOST_IN_A_ROW)
        for offset in range(tries):
            index = entry(offset)
            try:
                return read(index)
            except PictureError as error:
                name, reason = self.pictures.name(index), str(error)
                with self._lock:
                    self._skipped[name] = reason
        raise DataError(
            f"{tries} entries in a row, of {count}, can't be used; the last is {name}: {reason}. "
            "Is the storage there, and are the paths of the list right?"
        )


def write_skipped(path: Path, skipped: dict[str, str]) -> None:
    """A table of entries and reasons, in the order of the entries.

    Renamed into its place: other processes, of other machines too, may write the same at this moment.
    """
    rows = [
        "\t".join(part.replace("\t", " ").replace("\n", " ") for part in row)
        for row in sorted(skipped.items())
    ]
    partial = path.with_suffix(f".{os.uname().nodename}-{os.getpid()}.partial")
    partial.write_text("\n".join(["entry\treason", *rows, ""]), encoding="utf-8")
    partial.replace(path)

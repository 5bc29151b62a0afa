"""WebDataset shards as a picture list: tar files whose members share a key, read at any place in any order."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from training.categories import FOREGROUND
from training.errors import DataError
from training.listed_picture import PictureError, PictureList
from training.tar_index import MASK_EXTENSION, Place, TarSample, tar_index

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_ABSENT: Place = (0, 0)
_READERS = 8


class TarShards(PictureList):
    """Samples of tar files, in their order: `.jpg`, `.png` or `.webp`; `.mask.png`, and `.txt` or `.json` with the
    prompt, if there are any. A sample without a prompt is of `category`.

    `index_folder` keeps the places of the members, so that only the first run reads the headers of all shards.
    Raises DataError as `tar_index`, and for a foreground sample without a mask.
    """

    def __init__(self, shards: list[Path], *, category: int, index_folder: Path | None = None) -> None:
        self.shards = shards
        with ThreadPoolExecutor(_READERS) as pool:
            indices = list(pool.map(lambda path: tar_index(path, index_folder), shards))
        samples = [sample for index in indices for sample in index.samples]
        self.keys = [sample.key for sample in samples]
        self.shard_of = np.repeat(np.arange(len(shards)), [len(index.samples) for index in indices])
        self.pictures = _places(sample.picture for sample in samples)
        self.masks = _places(sample.mask for sample in samples)
        given = (category if sample.category is None else sample.category for sample in samples)
        self.categories = np.fromiter(given, np.int8, len(samples))
        self._refuse_objects_without_masks(samples)

    def _refuse_objects_without_masks(self, samples: list[TarSample]) -> None:
        for index in np.flatnonzero(self.categories == FOREGROUND):
            if samples[index].mask is None:
                raise DataError(
                    f"{self.name(int(index))}: the prompt is foreground, which needs a mask, the object's own: "
                    f"add a member .{MASK_EXTENSION} of the same key"
                )

    def name(self, index: int) -> str:
        """The shard's file and the sample's key."""
        return f"{self.shards[self.shard_of[index]]}, {self.keys[index]}"

    def picture_bytes(self, index: int) -> bytes:
        """The member's content."""
        offset, size = self.pictures[index]
        if size == 0:
            raise PictureError("the shard holds no picture, or an empty one, of this key")
        return self._member(index, int(offset), int(size))

    def mask_bytes(self, index: int) -> bytes | None:
        """The content of the member `.mask.png`, if there is one."""
        offset, size = self.masks[index]
        return self._member(index, int(offset), int(size)) if size else None

    def _member(self, index: int, offset: int, size: int) -> bytes:
        shard: Path = self.shards[self.shard_of[index]]
        with shard.open("rb") as file:
            file.seek(offset)
            return file.read(size)


def _places(places: Iterable[Place | None]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """[N, 2]: 16 bytes a member, for shards of millions of them."""
    return np.array([place or _ABSENT for place in places], np.int64)


def find_shards(pattern: Path) -> list[Path]:
    """The files of `shard-{000..099}.tar`, of `*.tar`, or the one file; in the order of their names.

    Raises DataError, naming some of the files, when a file of a range is not there, or none fits.
    """
    names = expand_braces(str(pattern))
    found = [Path(path) for name in names for path in (sorted(glob.glob(name)) or [name])]  # noqa: PTH207 - a pattern may be absolute
    missing = [str(path) for path in found if not path.is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise DataError(f"{len(missing)} of {len(found)} shards of {pattern} are missing: {shown}")
    return found


def expand_braces(pattern: str) -> list[str]:
    """`a-{08..10}.tar` as `a-08.tar`, `a-09.tar`, `a-10.tar`; several ranges give all of their combinations."""
    match = _BRACES.search(pattern)
    if match is None:
        return [pattern]
    first, last = match.groups()
    numbers = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    if not numbers:
        raise DataError(f"{pattern}: the range {match.group()} is empty")
    rest = expand_braces(pattern[match.end() :])
    return [f"{pattern[: match.start()]}{number}{end}" for number in numbers for end in rest]

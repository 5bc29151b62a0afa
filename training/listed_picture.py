"""One entry of a picture list, and what every form of list offers: entries by index, read when they are needed."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from training.categories import FOREGROUND
from training.errors import DataError
from training.masks import Mask
from training.photos import Pixels


class PictureError(DataError):
    """One entry can't be used; the others can."""


@dataclass(frozen=True)
class ListedPicture:
    """`pixels` [H, W, 3] uint8, upright; `mask` [H, W] or None, True = what the entry marks; `category` by number."""

    pixels: Pixels
    mask: Mask | None
    category: int


class PictureList(ABC):
    """Entries in a fixed order. Nothing but names and places is in memory: lists of millions of pictures are."""

    categories: npt.NDArray[np.int8]  # [N]

    def __len__(self) -> int:
        return len(self.categories)

    @abstractmethod
    def name(self, index: int) -> str:
        """What a user knows the entry by."""

    @abstractmethod
    def picture_bytes(self, index: int) -> bytes:
        """The picture's file. Raises OSError or PictureError."""

    @abstractmethod
    def mask_bytes(self, index: int) -> bytes | None:
        """The mask's file, None for an entry without one. Raises OSError or PictureError."""

    def read(self, index: int) -> ListedPicture:
        """One entry, decoded. Raises PictureError when it is damaged or its mask does not belong to it."""
        try:
            pixels = decode_picture(self.picture_bytes(index))
        except Exception as error:  # Pillow raises almost anything for damaged files and metadata
            raise PictureError(_reason(error)) from error
        mask = self.read_mask(index)
        if mask is not None and mask.shape != pixels.shape[:2]:
            raise PictureError(f"the mask is {_size(mask)} pixels, the picture {_size(pixels)}")
        return ListedPicture(pixels, mask, int(self.categories[index]))

    def read_mask(self, index: int) -> Mask | None:
        """The entry's mask alone. Raises PictureError when it is damaged, or missing or empty for an object."""
        try:
            data = self.mask_bytes(index)
            mask = None if data is None else decode_mask(data)
        except Exception as error:  # as for pictures
            raise PictureError(f"mask: {_reason(error)}") from error
        if self.categories[index] == FOREGROUND and (mask is None or not mask.any()):
            raise PictureError(f"its prompt is foreground, and its mask is {'empty' if data else 'missing'}")
        return mask


def decode_picture(data: bytes) -> Pixels:
    """Upright RGB pixels [H, W, 3] of a picture's file; transparency is dropped."""
    with Image.open(io.BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
        return np.asarray(upright.convert("RGB"))


def decode_mask(data: bytes) -> Mask:
    """The mask [H, W] of a picture's file, upright: True where it is brighter than mid-grey."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("L")) > 127


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text has an address of this process's memory
        return "not a picture of a format that can be read"
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}"
    return str(error) or type(error).__name__


def _size(pixels: npt.NDArray[np.generic]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"

"""A decoded picture: its pixels as stored, upright, and all that is needed to write it back as it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.contracts import Box

Pixels = npt.NDArray[Any]
Bytes8 = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What travels beside the pixels.

    `exif` and `xmp` have orientation 1; `texts` are a PNG's, by keyword; `transparency` is a PNG or GIF colour key
    (None for palettes, whose opacity is in `Picture.palette`); `density` is in dots per inch; `tables` and
    `subsampling` are the JPEG's own; `compression` is the TIFF's; `lossless` tells whether the source file was.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    density: tuple[float, float] | None = None
    comment: bytes | None = None
    transparency: int | tuple[int, ...] | None = None
    tables: dict[int, list[int]] | None = None
    subsampling: int = -1
    progressive: bool = False
    compression: str | None = None
    lossless: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """`pixels` is [H, W] or [H, W, C] of `mode` (bool, uint8 or uint16), in display orientation.

    `palette` is [n, 4] RGBA, n <= 256, for mode P only. `notes` tell the user what decoding had to change.
    """

    pixels: Pixels
    mode: str
    format: str
    palette: Bytes8 | None
    metadata: Metadata
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def white(self) -> int:
        """The largest value of a channel."""
        return 65_535 if self.mode == "I;16" else 255

    def window(self, box: Box) -> Pixels:
        """A view of the stored pixels in `box`."""
        return self.pixels[box.top : box.bottom, box.left : box.right]

    def opacity(self, box: Box) -> Bytes8 | None:
        """Alpha of every pixel of `box`, [h, w], from whichever of the forms of transparency the picture has;
        None where it has none.
        """
        stored = self.window(box)
        if self.mode in ("LA", "RGBA"):
            alpha: Bytes8 = stored[..., -1]
            return alpha
        if self.palette is not None:
            return None if self.palette[:, 3].min() == 255 else self.palette[stored, 3]
        key = self.metadata.transparency
        if key is None:
            return None
        matches = stored == np.asarray(key)
        clear = matches.all(axis=-1) if stored.ndim == 3 else matches
        return np.where(clear, 0, 255).astype(np.uint8)

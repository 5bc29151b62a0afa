"""Pictures, good and bad, made in memory for requests to the edge."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

SIZE = (96, 80)


def photo(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Noise over a gradient: no two photos' bytes compress away."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 3), dtype=np.uint8)
    ramp = np.linspace(0, 200, width, dtype=np.uint8)[None, :, None]
    return Image.fromarray(noise + ramp).convert(mode)


def mask(size: tuple[int, int] = SIZE, background: int = 0) -> Image.Image:
    """A rectangle in the middle."""
    image = Image.new("L", size, background)
    width, height = size
    image.paste(255 - background, (width // 3, height // 3, width // 2, height // 2))
    return image


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(data: bytes) -> Image.Image:
    """Open and load."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, with next to no pixels behind it (PNG specification, section 5)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


PHOTO = encode(photo())
JPEG = encode(photo(), "JPEG", quality=90)
MASK = encode(mask())

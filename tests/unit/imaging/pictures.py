"""Pictures, masks and fills made in code for the tests of imaging."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contracts import Params
from service.imaging.encode import EncodedPicture
from service.imaging.retouch import Retouch, finish, prepare

MAX_PIXELS = 50_000_000
MODEL_SIZE = 64
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")


def noise(mode: str, width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture of random pixels; alpha is nowhere 0, and a palette picture has 40 colours."""
    generator = np.random.default_rng(seed)
    channels = {"1": 1, "L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4, "I;16": 1, "CMYK": 4}[mode]
    pixels = generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    if mode == "1":
        return Image.fromarray(pixels[..., 0] > 127)
    if mode == "I;16":
        return Image.fromarray(generator.integers(0, 65_536, (height, width), dtype=np.uint16))
    if mode == "P":
        image = Image.frombytes("P", (width, height), (pixels % 40).tobytes())
        image.putpalette(generator.integers(0, 256, 120, dtype=np.uint8).tobytes())
        return image
    if mode in ("LA", "RGBA"):
        pixels[..., -1] = np.maximum(pixels[..., -1], 1)
    if mode == "CMYK":
        return Image.frombytes("CMYK", (width, height), pixels.tobytes())
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def flat(mode: str, color: Any, width: int = 96, height: int = 80) -> Image.Image:
    return Image.new(mode, (width, height), color)


def encoded(image: Image.Image, picture_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def box_mask(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    """White in (left, top, right, bottom), black elsewhere."""
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, box)
    return mask


def fills_of(
    retouch: Retouch, color: tuple[float, float, float] = (1.0, -1.0, -1.0)
) -> npt.NDArray[np.float32]:
    """One flat colour, in [-1, 1], for every crop: [crops, 3, s, s]."""
    size = retouch.tiles[0][0].shape[1]
    fill = np.array(color, np.float32)[None, :, None, None]
    return np.broadcast_to(fill, (len(retouch.tiles), 3, size, size)).copy()


def retouched(
    image: bytes,
    mask: bytes,
    params: Params | None = None,
    *,
    color: tuple[float, float, float] = (1.0, -1.0, -1.0),
    model_size: int = MODEL_SIZE,
) -> tuple[Retouch, EncodedPicture]:
    """The whole way with a flat fill and no colour match, unless `params` say otherwise."""
    params = params or Params(color_match=False)
    retouch = prepare(image, mask, params, model_size=model_size, max_pixels=MAX_PIXELS)
    return retouch, finish(retouch, fills_of(retouch, color), params)

"""Small picture files that the tests of training data make: whole ones, masks, and damaged ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 96, 80


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def grey(level: int, form: str = "PNG", size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """A file of an even picture: its level says which it is."""
    return encoded(Image.new("RGB", size, (level, level, level)), form)


def square_mask(size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """A file of a mask: 24 x 16 pixels, at row 30 and column 40, are white."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[30:46, 40:64] = 255
    return encoded(Image.fromarray(pixels))


def truncated_jpeg() -> bytes:
    """The first half of a JPEG file of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(pixels), "JPEG")
    return whole[: len(whole) // 2]


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path

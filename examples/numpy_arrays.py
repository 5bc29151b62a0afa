"""Arrays in, an array out: python examples/numpy_arrays.py http://localhost:8080 filled.png."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from moebius_client import Client

HERE = Path(__file__).resolve().parent


def main(server: str, output: str) -> None:
    """A mask of bool is filled where it is True."""
    photo = np.asarray(Image.open(HERE / "seabed.jpg"))  # [H, W, 3] uint8
    hole = np.zeros(photo.shape[:2], bool)  # [H, W]
    hole[200:280, 180:330] = True
    with Client(server) as client:
        result = client.inpaint(photo, hole, seed=7)
    filled = np.asarray(result.image)
    changed = (filled != photo).any(axis=2)
    print(f"{changed.sum()} of {hole.size} pixels changed; {hole.sum()} were to be filled")
    Image.fromarray(filled).save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])

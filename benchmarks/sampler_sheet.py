"""The samplers' pictures beside each other: a row a photograph, a column a contender."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.sampler_cases import Case, filled
from service.denoising import Array

SIDE = 128
HEADER = 14  # pixels over the columns, for their names
HOLE = np.uint8(255)


def draw_sheet(rows: Sequence[tuple[Case, Sequence[Array]]], names: Sequence[str], path: Path) -> None:
    """Write photographs with their holes white, then their fills [3, s, s], as a PNG of 256 colours: a small file."""
    titles = ["hole", *names]
    sheet = Image.new("RGB", (SIDE * len(titles), HEADER + SIDE * len(rows)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((column * SIDE + 2, 1), title, fill="black")
    for row, (case, fills) in enumerate(rows):
        holed = np.where(case.hole[..., None], HOLE, case.photo)
        for column, pixels in enumerate([holed, *(filled(case, fill) for fill in fills)]):
            small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * SIDE, HEADER + row * SIDE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(256, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)

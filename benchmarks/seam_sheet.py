"""What the numbers of seams.md and large.md look like: one large photograph, its holes filled in each way.

`python -m benchmarks.seam_sheet PHOTO OUTPUT` draws a row a hole: the hole, a plain resize, a plain crop or the first
pass alone, and what the service answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.hardware import usable_cores
from benchmarks.seam_measures import Bytes8, Flags
from benchmarks.seams import OURS, PLAIN_CROP, PLAIN_RESIZE, WAYS
from service.contracts import MAX_PIXELS, Params
from service.engine.base import Engine
from service.engine.inpaint import run
from service.engine.selection import open_engine
from service.imaging.retouch import finish, prepare
from service.settings import Settings
from service.worker.fill import fill_picture

TILE = 260
TITLE = 16
COLORS = 160
ONE_PASS = "first pass alone"
SHORT = {PLAIN_RESIZE: "plain resize", PLAIN_CROP: "plain crop", OURS: "ours"}

Fill = Callable[[Engine, bytes, bytes], Bytes8]


@dataclass(frozen=True)
class Scene:
    """A hole as shares of the photograph's width and height (left, top, right, bottom), and how much around it is
    shown, in the hole's longer sides.
    """

    name: str
    hole: tuple[float, float, float, float]
    shown: float
    third: str


SCENES = (
    Scene("a small hole", (0.42, 0.55, 0.455, 0.60), 4.0, PLAIN_CROP),
    Scene("a large hole", (0.30, 0.40, 0.43, 0.60), 1.6, PLAIN_CROP),
    Scene("a huge hole", (0.30, 0.25, 0.65, 0.80), 1.5, ONE_PASS),
    Scene("its edge at full size", (0.30, 0.25, 0.65, 0.80), 0.0, ONE_PASS),
)


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="moebius-nano-4step")
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    engine = open_engine(Settings.model_validate({"model": options.model, "threads": options.threads}))
    photo = np.asarray(Image.open(options.photo).convert("RGB"))
    sheet = Image.new("RGB", (4 * TILE, len(SCENES) * (TILE + TITLE)), "white")
    for row, scene in enumerate(SCENES):
        _draw_row(sheet, row * (TILE + TITLE), scene, _pictures(engine, photo, scene))
    sheet.quantize(COLORS, dither=Image.Dither.NONE).save(options.output, optimize=True)


def _draw_row(sheet: Image.Image, top: int, scene: Scene, pictures: dict[str, Image.Image]) -> None:
    pen = ImageDraw.Draw(sheet)
    for column, (name, picture) in enumerate(pictures.items()):
        pen.text((column * TILE + 3, top + 2), f"{scene.name}: {name}" if column == 0 else name, fill="black")
        sheet.paste(
            picture.resize((TILE - 4, TILE - 4), Image.Resampling.LANCZOS), (column * TILE, top + TITLE)
        )


def _pictures(engine: Engine, photo: Bytes8, scene: Scene) -> dict[str, Image.Image]:
    """The view of each column, by its title."""
    mask, box = _mask(photo.shape, scene), _view(photo.shape, scene)
    files = (_png(photo), _png(mask.astype(np.uint8) * 255))
    holed = np.where(mask[..., None], np.uint8(255), photo)
    columns = {"hole": holed}
    for way in (PLAIN_RESIZE, scene.third, OURS):
        fill = _first_pass if way == ONE_PASS else _served(WAYS[way])
        columns[SHORT.get(way, way)] = fill(engine, *files)
    return {name: Image.fromarray(pixels).crop(box) for name, pixels in columns.items()}


def _mask(shape: tuple[int, ...], scene: Scene) -> Flags:
    """An ellipse in the scene's hole."""
    height, width = shape[:2]
    left, top, right, bottom = scene.hole
    image = Image.new("1", (width, height))
    ImageDraw.Draw(image).ellipse((left * width, top * height, right * width, bottom * height), fill=1)
    return np.asarray(image)


def _view(shape: tuple[int, ...], scene: Scene) -> tuple[int, int, int, int]:
    """A square around the hole; at its right edge one pixel a pixel, where nothing more is to be shown."""
    height, width = shape[:2]
    left, top, right, bottom = scene.hole
    side = round(max((right - left) * width, (bottom - top) * height) * scene.shown) if scene.shown else TILE
    side = min(side, width, height)
    middle = (left + right) / 2 * width if scene.shown else right * width
    start = round(min(max(middle - side / 2, 0), width - side))
    upper = round(min(max((top + bottom) / 2 * height - side / 2, 0), height - side))
    return start, upper, start + side, upper + side


def _served(params: Params | None) -> Fill:
    """As the service does it, with these parameters."""
    assert params is not None, "the photograph itself is not filled"

    def fill(engine: Engine, photo: bytes, mask: bytes) -> Bytes8:
        result = fill_picture(engine, photo, mask, params, max_pixels=MAX_PIXELS)
        return np.asarray(Image.open(BytesIO(result.pictures[0])))

    return fill


def _first_pass(engine: Engine, photo: bytes, mask: bytes) -> Bytes8:
    params = Params(seed=7)
    retouch = prepare(photo, mask, params, model_size=engine.info.image_size, max_pixels=MAX_PIXELS)
    (fills,) = run(engine, retouch.tiles, params).fills
    return np.asarray(Image.open(BytesIO(finish(retouch, fills, params).data)))


def _png(pixels: Bytes8) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


if __name__ == "__main__":
    main()

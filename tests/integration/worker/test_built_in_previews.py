"""Previews of the built-in models: their colours are those that the decoder would give, cell by cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.contracts import Params
from service.engine.base import Array, Engine, Tile
from service.engine.inpaint import begin_item, sampling_table
from service.engine.selection import open_engine
from service.imaging.preview import matched_to_photo
from service.imaging.retouch import prepare
from service.settings import Settings

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
CELL = 8
NEAR = 0.2  # mean difference in [-1, 1]; of mid-grey it is half


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(model="moebius-nano-4step", backend="onnxruntime"))


def cell_means(image: Array) -> Array:
    """Mean colours [3, h, w] of a picture's latent cells."""
    side = image.shape[1] // CELL
    means: Array = image.reshape(3, side, CELL, side, CELL).mean(axis=(2, 4))
    return means


def test_every_preview_has_nearly_the_colours_of_the_fill(engine: Engine) -> None:
    params = Params(seed=7, model=engine.info.model)
    image, mask = ((EXAMPLES / name).read_bytes() for name in ("seabed.jpg", "seabed-mask.png"))
    retouch = prepare(image, mask, params, model_size=engine.info.image_size, max_pixels=50_000_000)
    tile = Tile(*retouch.tiles[0])
    table = sampling_table(engine.info, params)
    (encoded,) = engine.encode([tile], with_image=False)
    state = begin_item(engine, encoded, table, seed=7, crop=0)
    shown: list[Array] = []
    for row in table.rows:
        engine.step([state], [row])
        preview = engine.preview(state)
        assert preview is not None
        shown.append(matched_to_photo(preview(), retouch.crops[0]))
    fill = cell_means(engine.decode([state])[0])
    hole = cell_means(np.repeat(tile.mask[None], 3, axis=0)) > 0
    distances = [float(np.abs(colors - fill)[hole].mean()) for colors in shown]
    assert max(distances) < NEAR < np.abs(fill)[hole].mean()

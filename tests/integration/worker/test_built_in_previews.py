"""Previews of the built-in models: their colours are those that the decoder would give, cell by cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.contracts import Params
from service.engine.base import Array, Engine, Tile
from service.engine.inpaint import begin_item, sampling_table
from service.engine.latent_engine import latent_colors
from service.engine.selection import open_engine
from service.imaging.cell_tone import KnownTone, cell_means
from service.imaging.retouch import prepare
from service.settings import Settings

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NEAR = 0.13  # mean difference in [-1, 1]; of mid-grey it is half


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(model="moebius-nano-4step", backend="onnxruntime"))


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
        shown.append(KnownTone(retouch.crops[0]).matched(preview()))
    fill = cell_means(engine.decode([state])[0])
    hole = cell_means(np.repeat(tile.mask[None], 3, axis=0)) > 0
    distances = [float(np.abs(colors - fill)[hole].mean()) for colors in shown]
    assert max(distances) < NEAR < np.abs(fill)[hole].mean()


def test_at_the_edge_of_a_crop_colours_are_right_too(engine: Engine) -> None:
    """An autoencoder's padding gives the outermost cells another code: dark lines where crops meet, if it is read."""
    params = Params(seed=7, model=engine.info.model)
    image, mask = ((EXAMPLES / name).read_bytes() for name in ("seabed.jpg", "seabed-mask.png"))
    retouch = prepare(image, mask, params, model_size=engine.info.image_size, max_pixels=50_000_000)
    colors = engine.info.latent_colors
    assert colors is not None
    errors = []
    for tile in retouch.crops:
        (encoded,) = engine.encode([Tile(tile.image, tile.mask)], with_image=True)
        errors.append(np.abs(latent_colors(colors, encoded.latents) - cell_means(tile.image)).mean(axis=0))
    error = np.mean(errors, axis=0)
    sides = [error[:2].mean(), error[-2:].mean(), error[:, :2].mean(), error[:, -2:].mean()]
    assert error[4:-4, 4:-4].mean() < NEAR / 2
    assert max(sides) < 1.5 * NEAR

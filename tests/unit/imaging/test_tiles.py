"""Tiles for the model: exact areas, padding by edges, whole latent cells, sRGB."""

from __future__ import annotations

import numpy as np
import pytest

from service.contracts import Params, Strategy
from service.imaging.retouch import Retouch, prepare
from tests.unit.imaging.pictures import MAX_PIXELS, box_mask, encoded, flat, noise
from tests.unit.imaging.profiles import wide_rgb_profile

SHARP = Params(dilate=0, feather=0)


def prepared(image: bytes, mask: bytes, params: Params = SHARP, model_size: int = 64) -> Retouch:
    return prepare(image, mask, params, model_size=model_size, max_pixels=MAX_PIXELS)


def test_a_crop_at_native_resolution_is_the_picture_itself() -> None:
    image = noise("RGB", 200, 150)
    retouch = prepared(encoded(image), encoded(box_mask(200, 150, (90, 60, 106, 76))))
    ((tile, _),) = retouch.tiles
    (box,) = retouch.boxes
    crop = np.asarray(image.crop((box.left, box.top, box.right, box.bottom)))
    assert tile.dtype == np.float32
    np.testing.assert_allclose(np.moveaxis(tile, 0, 2), crop / 127.5 - 1, atol=1e-6)


def test_a_picture_smaller_than_the_model_is_padded_by_its_edges() -> None:
    image = noise("RGB", 40, 24)
    retouch = prepared(encoded(image), encoded(box_mask(40, 24, (8, 8, 16, 16))))
    ((tile, _),) = retouch.tiles
    pixels = np.asarray(image) / 127.5 - 1
    np.testing.assert_allclose(np.moveaxis(tile, 0, 2)[:24, :40], pixels, atol=1e-6)
    np.testing.assert_allclose(np.moveaxis(tile, 0, 2)[:24, 63], pixels[:, -1], atol=1e-6)
    np.testing.assert_allclose(np.moveaxis(tile, 0, 2)[63, :40], pixels[-1], atol=1e-6)
    photo = np.zeros((64, 64), np.bool_)
    photo[:24, :40] = True
    photo[8:16, 8:16] = False
    np.testing.assert_array_equal(
        retouch.crops[0].known, photo, "padding is no photo, and neither is the hole"
    )


def test_the_models_hole_covers_whole_latent_cells() -> None:
    retouch = prepared(encoded(noise("RGB", 64, 64)), encoded(box_mask(64, 64, (15, 20, 17, 25))))
    ((_, mask),) = retouch.tiles
    expected = np.zeros((64, 64), np.float32)
    expected[16:32, 8:24] = 1
    np.testing.assert_array_equal(mask, expected)
    assert np.count_nonzero(retouch.effective_mask) == 10


def test_a_thin_line_survives_downscaling() -> None:
    image, mask = encoded(noise("RGB", 600, 600)), encoded(box_mask(600, 600, (300, 20, 301, 580)))
    ((_, tile_mask),) = prepared(image, mask, Params(dilate=0, feather=0, strategy=Strategy.RESIZE)).tiles
    assert tile_mask.any(axis=1).all()


def test_the_model_sees_srgb() -> None:
    image = flat("RGB", (60, 200, 60))
    mask = encoded(box_mask(96, 80, (40, 40, 50, 50)))
    ((plain, _),) = prepared(encoded(image), mask).tiles
    ((converted, _),) = prepared(encoded(image, icc_profile=wide_rgb_profile()), mask).tiles
    assert plain[0, 0, 0] == pytest.approx(60 / 127.5 - 1)
    assert converted[0, 0, 0] == pytest.approx(-1)


def test_the_model_sees_deep_gray_in_its_own_tone() -> None:
    image = noise("I;16", 200, 150)
    retouch = prepared(encoded(image), encoded(box_mask(200, 150, (90, 60, 106, 76))))
    ((tile, _),) = retouch.tiles
    (box,) = retouch.boxes
    crop = np.asarray(image)[box.top : box.bottom, box.left : box.right] / 65_535
    np.testing.assert_allclose((tile[0] + 1) / 2, crop, atol=0.51 / 255)


def test_clear_pixels_show_the_nearest_visible_color() -> None:
    image = flat("RGBA", (0, 0, 255, 0), 64, 64)
    image.paste((200, 100, 50, 255), (0, 0, 64, 40))
    ((tile, _),) = prepared(encoded(image), encoded(box_mask(64, 64, (8, 8, 16, 16)))).tiles
    np.testing.assert_allclose(tile[:, 60, 60], np.array([200, 100, 50]) / 127.5 - 1, atol=1e-6)


def test_what_is_made_smaller_takes_its_colour_from_what_is_seen_alone() -> None:
    image = flat("RGBA", (200, 100, 50, 255), 128, 128)
    image.paste((0, 0, 255, 0), (0, 0, 63, 128))
    params = Params(dilate=0, feather=0, strategy=Strategy.RESIZE)
    ((tile, _),) = prepared(encoded(image), encoded(box_mask(128, 128, (80, 80, 100, 100))), params).tiles
    np.testing.assert_allclose(tile[:, 60, 31], np.array([200, 100, 50]) / 127.5 - 1, atol=1e-5)

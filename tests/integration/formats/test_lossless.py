"""Pictures in lossless formats come back as they went: size, format, mode, alpha, and every pixel outside the mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.integration.edge.pictures import decode, encode
from tests.integration.formats.files import FLAGS, HOLE, LOSSLESS, SIZE, box, with_palette_alpha
from tests.integration.formats.filling import Filled, changed, shown
from tests.unit.imaging.pictures import noise

Fill = Callable[..., Filled]


@pytest.mark.parametrize("name", LOSSLESS)
def test_no_pixel_outside_the_mask_is_changed_and_size_format_and_mode_are_kept(
    fill: Fill, name: str
) -> None:
    before, after = decode(LOSSLESS[name]), fill(LOSSLESS[name]).image
    assert (after.format, after.size) == (before.format, before.size)
    differs = changed(before, after)
    assert not (differs & ~FLAGS).any()
    assert differs[FLAGS].mean() > 0.3, "the hole was not filled"
    if name == "PNG palette with alpha":
        return  # its place for the fill's colours is the next test's
    assert after.mode == before.mode


@pytest.mark.parametrize("name", ["PNG LA", "PNG RGBA", "TIFF LA", "TIFF RGBA", "WebP RGBA, lossless"])
def test_alpha_stays_as_it_was_inside_the_mask_too(fill: Fill, name: str) -> None:
    before, after = decode(LOSSLESS[name]), fill(LOSSLESS[name]).image
    np.testing.assert_array_equal(np.asarray(after)[..., -1], np.asarray(before)[..., -1])


def test_a_palette_with_half_transparent_colours_in_the_hole_becomes_rgba_and_says_so(fill: Fill) -> None:
    source = encode(with_palette_alpha(), transparency=bytes([0, 128] + [255] * 38))
    filled = fill(source)
    assert filled.image.mode == "RGBA"
    assert "palette" in filled.notes
    before, after = shown(decode(source)), shown(filled.image)
    np.testing.assert_array_equal(after[..., 3], before[..., 3])


def test_a_palette_keeps_its_transparent_colour_where_the_hole_is_opaque(fill: Fill) -> None:
    image = noise("P", *SIZE)
    image.paste(1, HOLE)
    image.paste(0, (0, 0, 20, 20))
    filled = fill(encode(image, transparency=0))
    assert filled.image.mode == "P"
    alpha = shown(filled.image)[..., 3]
    assert (alpha[:20, :20] == 0).all()
    assert (alpha[FLAGS] == 255).all()


def test_a_single_gif_frame_comes_back_as_a_gif(fill: Fill) -> None:
    filled = fill(LOSSLESS["GIF"])
    assert filled.answer.headers["content-type"] == "image/gif"
    assert (filled.image.format, filled.image.mode) == ("GIF", "P")


def test_sixteen_bits_of_gray_stay_sixteen(fill: Fill) -> None:
    for name in ("PNG I;16", "TIFF I;16"):
        before, after = decode(LOSSLESS[name]), fill(LOSSLESS[name]).image
        values = np.asarray(after, np.uint16)
        assert after.mode.startswith("I;16")
        assert (values % 257 != 0).any(), "narrowed to 8 bits and widened again"
        np.testing.assert_array_equal(values[~FLAGS], np.asarray(before, np.uint16)[~FLAGS])


def test_with_the_default_growth_the_rest_is_the_same_from_a_few_pixels_on(fill: Fill) -> None:
    size, hole = (400, 300), (100, 100, 200, 180)
    source = encode(noise("RGB", *size))
    differs = changed(decode(source), fill(source, encode(box(size, hole)), dilate=None, feather=None).image)
    reached = np.asarray(box(size, (100 - 16, 100 - 16, 200 + 16, 180 + 16))) > 0
    assert not (differs & ~reached).any()
    assert (differs & ~(np.asarray(box(size, hole)) > 0)).any(), "the hole was not grown"

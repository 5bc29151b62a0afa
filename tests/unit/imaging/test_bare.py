"""Pictures without metadata: their colours are made sRGB in every mode, and alpha stays what it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contracts import Box
from service.imaging.bare import CONVERTED, KEPT, bare
from service.imaging.color import converter_for
from service.imaging.decode import decode_picture
from service.imaging.native import colors_of
from service.imaging.picture import Picture, Pixels
from tests.unit.imaging.pictures import MAX_PIXELS, encoded, noise
from tests.unit.imaging.profiles import gray_profile, wide_rgb_profile

SIZE = (40, 30)
WHOLE = Box(0, 0, *SIZE)


def picture_of(mode: str, **options: Any) -> Picture:
    """Of random pixels, with a profile far from that of sRGB."""
    icc = gray_profile(1.0) if mode in ("L", "LA", "I;16") else wide_rgb_profile()
    return decode_picture(encoded(noise(mode, *SIZE), icc_profile=icc, **options), max_pixels=MAX_PIXELS)


def srgb_of(picture: Picture) -> Pixels:
    """What a viewer shows of it, [H, W, 3]."""
    return converter_for(picture)[0].to_srgb(colors_of(picture, WHOLE))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_colours_look_the_same_without_their_profile(mode: str) -> None:
    picture = picture_of(mode)
    emptied = bare(picture)
    assert (emptied.mode, emptied.metadata.icc, emptied.notes) == (mode, None, (CONVERTED,))
    assert not np.array_equal(colors_of(emptied, WHOLE), colors_of(picture, WHOLE))
    np.testing.assert_array_equal(srgb_of(emptied), srgb_of(picture))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_stays(mode: str) -> None:
    picture = picture_of(mode, **({"transparency": bytes([0, 90])} if mode == "P" else {}))
    before, after = picture.opacity(WHOLE), bare(picture).opacity(WHOLE)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(("mode", "options"), [("I;16", {}), ("RGB", {"transparency": (1, 2, 3)})])
def test_where_colours_can_not_be_converted_exactly_the_profile_stays_and_a_note_says_so(
    mode: str, options: dict[str, Any]
) -> None:
    picture = picture_of(mode, **options)
    emptied = bare(picture)
    assert emptied.metadata.icc == picture.metadata.icc
    assert emptied.metadata.transparency == picture.metadata.transparency
    assert emptied.notes == (KEPT.format(mode=mode),)
    np.testing.assert_array_equal(emptied.pixels, picture.pixels)


def test_the_picture_itself_is_left_as_it_was() -> None:
    picture = picture_of("RGB")
    pixels = picture.pixels.copy()
    bare(picture)
    np.testing.assert_array_equal(picture.pixels, pixels)


def test_a_picture_of_two_colours_needs_no_profile() -> None:
    picture = decode_picture(
        encoded(Image.new("1", SIZE, 1), "TIFF", icc_profile=gray_profile(1.0)), max_pixels=MAX_PIXELS
    )
    emptied = bare(picture)
    assert (emptied.metadata.icc, emptied.notes) == (None, ())
    np.testing.assert_array_equal(emptied.pixels, picture.pixels)

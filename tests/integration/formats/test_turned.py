"""Photos and masks that a camera stored turned: filled where the mask is seen, and never rotated on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from service.imaging.metadata import TURNS
from tests.integration.edge.pictures import decode, encode
from tests.integration.formats.files import AUTHOR, FLAGS, SIZE, box, exif_of, with_object
from tests.integration.formats.filling import Filled, changed
from tests.unit.imaging.pictures import noise

Fill = Callable[..., Filled]
BACK = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
MARGIN = 16  # pixels around the hole: a JPEG's blocks with 4:2:0 subsampling


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    """The pixels as a file with that orientation holds them."""
    turn = TURNS.get(orientation)
    return upright if turn is None else upright.transpose(BACK.get(orientation, turn))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_comes_back_upright_and_filled_where_its_turned_mask_is_seen(
    fill: Fill, orientation: int
) -> None:
    source = encode(stored(with_object(), orientation), "JPEG", quality=95, exif=exif_of(orientation))
    of_mask = 9 - orientation
    mask = encode(stored(box(), of_mask), exif=exif_of(of_mask))
    filled = fill(source, mask)
    exif = filled.image.getexif()
    assert (filled.image.format, filled.image.size) == ("JPEG", SIZE)
    assert (exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Artist]) == (1, AUTHOR)
    before = np.asarray(ImageOps.exif_transpose(decode(source))).astype(int)
    difference = np.abs(np.asarray(filled.image) - before).max(axis=-1)
    near = np.asarray(box(hole=(32 - MARGIN, 24 - MARGIN, 56 + MARGIN, 56 + MARGIN))) > 0
    assert difference[FLAGS].min() > 16, "the hole was not filled"
    assert difference[~near].max() <= 6, "something else was changed: the mask was turned another way"


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_png_keeps_every_pixel_outside_an_upright_mask(
    fill: Fill, orientation: int, mode: str
) -> None:
    upright = noise(mode, *SIZE)
    filled = fill(encode(stored(upright, orientation), exif=exif_of(orientation)))
    differs = changed(upright, filled.image)
    assert filled.image.getexif()[ExifTags.Base.Orientation] == 1
    assert not (differs & ~FLAGS).any()
    assert differs[FLAGS].mean() > 0.9

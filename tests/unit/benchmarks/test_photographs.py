"""A photograph has the side and format asked for, and a mask its holes, apart from each other."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from benchmarks.photographs import mask_with_holes, photograph


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_has_its_side_and_format(kind: str) -> None:
    with Image.open(BytesIO(photograph(96, kind))) as picture:
        assert (picture.format, picture.mode, picture.size) == (kind, "RGB", (96, 96))
        assert np.asarray(picture).std() > 10


@pytest.mark.parametrize("count", [1, 2, 4, 5, 16])
def test_a_mask_has_its_holes_apart_and_whole(count: int) -> None:
    with Image.open(BytesIO(mask_with_holes(128, 8, count))) as picture:
        mask = np.asarray(picture)
    labels, found = ndimage.label(mask)
    assert found == count
    assert all((labels == index + 1).sum() == 64 for index in range(count))


def test_one_hole_is_in_the_middle() -> None:
    with Image.open(BytesIO(mask_with_holes(100, 20))) as picture:
        assert picture.getbbox() == (40, 40, 60, 60)

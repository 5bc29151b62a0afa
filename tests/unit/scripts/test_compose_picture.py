"""What the check of the stack takes for a filled picture, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scripts.compose.picture import require_filled
from scripts.compose.waiting import CheckError

PHOTO = Image.fromarray(np.full((40, 60, 3), 90, np.uint8))


def marked(value: int, where: tuple[slice, slice], start: Image.Image = PHOTO) -> Image.Image:
    """A copy with a rectangle of one value."""
    pixels = np.array(start)
    pixels[where] = value
    return Image.fromarray(pixels)


HOLE = (slice(10, 20), slice(10, 30))
MASK = marked(255, HOLE, Image.new("L", PHOTO.size))
FILLED = marked(140, HOLE)


def test_a_filled_hole_in_an_unchanged_photo_is_accepted_and_measured() -> None:
    assert require_filled(FILLED, PHOTO, MASK, exact=True) == 50


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (PHOTO, "is not filled"),
        (FILLED.resize((30, 20)), "the answer"),
        (marked(91, (slice(0, 1), slice(0, 1)), FILLED), "outside the hole"),
    ],
    ids=["the photo itself", "a smaller picture", "one pixel outside changed by one level"],
)
def test_other_pictures_are_refused(answer: Image.Image, complaint: str) -> None:
    with pytest.raises(CheckError, match=complaint):
        require_filled(answer, PHOTO, MASK, exact=True)


def test_a_compressed_answer_may_differ_a_little_outside_and_not_much() -> None:
    outside = (slice(25, 40), slice(0, 60))
    assert require_filled(marked(92, outside, FILLED), PHOTO, MASK, exact=False) == 50
    with pytest.raises(CheckError, match="outside the hole"):
        require_filled(marked(120, outside, FILLED), PHOTO, MASK, exact=False)

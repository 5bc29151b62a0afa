"""A photograph of so many pixels goes through what edge and worker do to it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from benchmarks.coding import one_request, photo_and_mask


def test_a_photograph_has_the_pixels_asked_for_and_passes_through() -> None:
    photo, mask = photo_and_mask(0.25)
    for file in (photo, mask):
        with Image.open(BytesIO(file)) as picture:
            assert picture.size == (500, 500)
    *seconds, answer_bytes = one_request(photo, mask)
    assert all(took > 0 for took in seconds)
    assert answer_bytes > 10_000

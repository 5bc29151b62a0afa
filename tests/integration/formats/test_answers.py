"""Complaints about other services: a wrong size, another format, the whole photo made smaller."""

from __future__ import annotations

import base64
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from tests.integration.edge.pictures import decode, encode
from tests.integration.formats.files import LOSSLESS, MASK, box, smooth
from tests.integration.formats.filling import Filled, changed
from tests.unit.imaging.pictures import noise

Fill = Callable[..., Filled]
MODEL_SIZE = 64


@pytest.mark.parametrize("size", [(8, 8), (9, 300), (301, 203), (1023, 517), (64, 64)])
def test_the_answer_has_the_size_of_the_photo_whatever_that_is(fill: Fill, size: tuple[int, int]) -> None:
    hole = (size[0] // 3, size[1] // 3, size[0] // 3 + 2, size[1] // 3 + 2)
    for kind in ("PNG", "JPEG"):
        filled = fill(encode(smooth(size), kind), encode(box(size, hole)))
        assert (filled.image.size, filled.image.format) == (size, kind)


@pytest.mark.parametrize("strategy", ["auto", "crop", "resize"])
def test_every_strategy_gives_back_the_whole_photo(fill: Fill, strategy: str) -> None:
    size = (500, 300)
    source = encode(noise("RGB", *size))
    mask = encode(box(size, (200, 100, 260, 160)))
    filled = fill(source, mask, strategy=strategy)
    assert filled.image.size == size
    assert not (changed(decode(source), filled.image) & ~(np.asarray(decode(mask)) > 0)).any()


def test_a_batch_of_jpegs_comes_back_as_jpegs(fill: Fill, service: httpx.Client) -> None:
    for seed in range(3):
        assert fill(encode(smooth(), "JPEG", quality=80 + seed)).image.format == "JPEG"
    files = {"image": encode(smooth(), "JPEG"), "mask": MASK}
    answer = service.post("/v1/inpaint", files=files, data={"n": "3"}, headers={"Accept": "application/json"})
    pictures = answer.json()["pictures"]
    assert [picture["content_type"] for picture in pictures] == ["image/jpeg"] * 3
    assert [decode(base64.b64decode(picture["data"])).format for picture in pictures] == ["JPEG"] * 3


def test_a_small_hole_in_a_large_photo_is_shown_to_the_model_at_full_resolution(fill: Fill) -> None:
    """Blurry fills come from shrinking the whole photo: here the model sees a crop of its own size."""
    size = (1200, 900)
    filled = fill(
        encode(smooth(size), "JPEG"), encode(box(size, (600, 400, 612, 412))), dilate=None, feather=None
    )
    (told,) = filled.answer.headers["x-boxes"].split()
    left, top, right, bottom = map(int, told.split(","))
    assert (right - left, bottom - top) == (MODEL_SIZE, MODEL_SIZE)


def test_all_candidates_leave_the_rest_alone(service: httpx.Client) -> None:
    files = {"image": LOSSLESS["PNG RGB"], "mask": MASK}
    fields = {"n": "2", "dilate": "0", "feather": "0"}
    answer = service.post("/v1/inpaint", files=files, data=fields, headers={"Accept": "application/json"})
    flags = np.asarray(decode(MASK)) > 0
    for picture in answer.json()["pictures"]:
        after = decode(base64.b64decode(picture["data"]))
        assert not (changed(decode(LOSSLESS["PNG RGB"]), after) & ~flags).any()

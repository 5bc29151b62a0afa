"""Masks of every kind select what they say: never ignored, never inverted, and the object's edge goes with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from tests.integration.edge.pictures import decode, encode
from tests.integration.formats.files import FLAGS, HOLE, LOSSLESS, SIZE, box
from tests.integration.formats.filling import Filled, changed
from tests.unit.imaging.pictures import flat, noise

Fill = Callable[..., Filled]
PHOTO = LOSSLESS["PNG RGB"]
DISC = (160, 110, 240, 190)


def clear_in_the_hole() -> Image.Image:
    """Opaque white, but clear where it is to be filled: as OpenAI's editors write masks."""
    image = Image.new("RGBA", SIZE, (255, 255, 255, 255))
    image.paste((255, 255, 255, 0), HOLE)
    return image


def white_under_clear() -> Image.Image:
    """White everywhere, and opaque in the hole alone: as paint programs leave behind what was erased."""
    image = Image.new("RGBA", SIZE, (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), HOLE)
    return image


MASKS: dict[str, tuple[Image.Image, str]] = {
    "white on black": (box(), "white"),
    "1-bit": (box().convert("1"), "white"),
    "palette": (box().convert("P"), "white"),
    "RGB": (box().convert("RGB"), "white"),
    "gray with alpha": (Image.merge("LA", (Image.new("L", SIZE, 255), box())), "white"),
    "white under clear": (white_under_clear(), "white"),
    "16-bit": (Image.fromarray(np.asarray(box()).astype(np.uint16) * 257), "white"),
    "black on white": (Image.eval(box(), lambda level: 255 - level), "black"),
    "clear in the hole": (clear_in_the_hole(), "transparent"),
    "soft edges around the threshold": (Image.eval(box(), lambda level: 150 if level else 100), "white"),
}


@pytest.mark.parametrize("name", MASKS)
def test_exactly_what_the_mask_selects_is_filled(fill: Fill, name: str) -> None:
    mask, polarity = MASKS[name]
    differs = changed(decode(PHOTO), fill(PHOTO, encode(mask), mask_polarity=polarity).image)
    assert not (differs & ~FLAGS).any(), "something that was not selected was changed"
    assert differs[FLAGS].mean() > 0.9, "the selected part was not filled"


@pytest.mark.parametrize("polarity", ["black", "transparent"])
def test_a_mask_read_the_wrong_way_round_shows_and_is_never_turned_silently(
    fill: Fill, polarity: str
) -> None:
    """White on black means black, if that is what was asked for; nothing of it is transparent."""
    filled = fill(PHOTO, encode(box()), mask_polarity=polarity)
    if polarity == "transparent":
        assert filled.refusal[:2] == (422, "empty_mask")
    else:
        differs = changed(decode(PHOTO), filled.image)
        assert not differs[FLAGS].any()
        assert differs[~FLAGS].mean() > 0.9


def test_a_mask_that_selects_nothing_is_refused_with_what_to_do(fill: Fill) -> None:
    status, code, detail = fill(PHOTO, encode(flat("L", 0, *SIZE))).refusal
    assert (status, code) == (422, "empty_mask")
    assert "mask_polarity" in detail


def test_a_mask_that_selects_everything_runs(fill: Fill) -> None:
    assert changed(decode(PHOTO), fill(PHOTO, encode(flat("L", 255, *SIZE))).image).mean() > 0.9


@pytest.mark.parametrize("scale", [0.5, 2])
def test_a_mask_of_another_scale_selects_the_same_part(fill: Fill, scale: float) -> None:
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    differs = changed(decode(PHOTO), fill(PHOTO, encode(box().resize(size))).image)
    near = np.asarray(box(hole=(HOLE[0] - 2, HOLE[1] - 2, HOLE[2] + 2, HOLE[3] + 2))) > 0
    inside = np.asarray(box(hole=(HOLE[0] + 2, HOLE[1] + 2, HOLE[2] - 2, HOLE[3] - 2))) > 0
    assert not (differs & ~near).any()
    assert differs[inside].mean() > 0.9


def test_a_mask_of_another_aspect_is_refused_with_both_sizes(fill: Fill) -> None:
    status, code, detail = fill(PHOTO, encode(flat("L", 255, 80, 80))).refusal
    assert (status, code) == (422, "mask_size_mismatch")
    assert "80 x 80" in detail
    assert "96 x 80" in detail


def with_a_red_disc() -> tuple[bytes, bytes]:
    """A grey photo with a red disc whose soft edge and glow reach beyond its mask, as those of real objects do."""
    large = Image.new("RGB", (1600, 1200), (120, 120, 120))
    pen = ImageDraw.Draw(large)
    for step in range(12):
        share = (step + 1) / 13
        color = (round(120 + 110 * share), round(120 - 90 * share), round(120 - 90 * share))
        left, top, right, bottom = (4 * side for side in (DISC[0] - 2, DISC[1] - 2, DISC[2] + 2, DISC[3] + 2))
        edge = (left + step, top + step, right - step, bottom - step)
        pen.ellipse(edge, fill=color)
    photo = large.resize((400, 300), Image.Resampling.BOX)
    mask = Image.new("L", (400, 300), 0)
    ImageDraw.Draw(mask).ellipse(DISC, fill=255)
    return encode(photo), encode(mask)


def redness(image: Image.Image) -> npt.NDArray[np.int64]:
    pixels = np.asarray(image).astype(np.int64)
    return pixels[..., 0] - pixels[..., 1]


def test_no_ghost_of_the_objects_edge_is_left_around_a_mask_that_is_drawn_a_little_too_tight(
    fill: Fill,
) -> None:
    photo, mask = with_a_red_disc()
    tight = redness(fill(photo, mask).image).max()
    grown = redness(fill(photo, mask, dilate=None, feather=None).image).max()
    assert tight > 40, "without growth the disc's edge stays: the test would see a ghost"
    assert grown < 12


def test_a_black_mask_of_noise_selects_its_dark_half(fill: Fill) -> None:
    mask = noise("L", *SIZE)
    flags = np.asarray(mask) < 128
    differs = changed(decode(PHOTO), fill(PHOTO, encode(mask), mask_polarity="black").image)
    assert not (differs & ~flags).any()
    assert differs[flags].mean() > 0.9

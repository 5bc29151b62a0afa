"""Random holes: within the published ranges, and the same for the same seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import ImageDraw

from training.masks import MaskSampler

SIDE = 256
SCALE = SIDE / 512  # the published ranges are for 512 pixels
DRAWS = 30


class Recorder:
    """Draws, and keeps what it was asked to draw."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self.draw = draw
        self.strokes: list[tuple[float, int]] = []
        self.boxes: list[tuple[float, ...]] = []

    def line(self, points: tuple[float, ...], *, fill: int, width: int) -> None:
        self.strokes.append((math.dist(points[:2], points[2:]), width))
        self.draw.line(points, fill=fill, width=width)

    def ellipse(self, box: tuple[float, ...], *, fill: int) -> None:
        self.draw.ellipse(box, fill=fill)

    def rectangle(self, box: tuple[float, ...], *, fill: int) -> None:
        self.boxes.append(box)
        self.draw.rectangle(box, fill=fill)


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Every picture that was drawn on, in order."""
    recorders: list[Recorder] = []

    def start(*arguments: Any) -> Recorder:
        recorders.append(Recorder(ImageDraw.ImageDraw(*arguments)))
        return recorders[-1]

    monkeypatch.setattr("training.masks.ImageDraw.Draw", start)
    return recorders


def draw_many(sampler: MaskSampler) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    return [sampler.draw(np.random.default_rng(seed)) for seed in range(DRAWS)]


def test_strokes_stay_within_the_published_widths_lengths_and_numbers(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE, box_probability=0))
    for drawing in drawings:
        assert 1 <= len(drawing.strokes) <= 5 * 5  # strokes of joined segments
        assert drawing.boxes == []
        for length, width in drawing.strokes:
            assert length <= 450 * SCALE
            assert 3 <= width <= 250 * SCALE


def test_boxes_stay_within_the_published_sides_and_off_the_border(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE, box_probability=1))
    for drawing in drawings:
        assert 1 <= len(drawing.boxes) <= 4
        assert drawing.strokes == []
        for left, top, right, bottom in drawing.boxes:
            assert 30 * SCALE <= right - left <= 300 * SCALE
            assert 30 * SCALE <= bottom - top <= 300 * SCALE
            assert min(left, top) >= 10 * SCALE


def test_a_mask_covers_something_and_at_most_half() -> None:
    for mask in draw_many(MaskSampler(SIDE)):
        assert mask.shape == (SIDE, SIDE)
        assert 0 < mask.mean() <= 0.5


def test_a_smaller_limit_is_held() -> None:
    assert all(mask.mean() <= 0.1 for mask in draw_many(MaskSampler(64, most=0.1)))


def test_boxes_come_as_often_as_asked_for(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE, box_probability=0.3))
    share = sum(bool(drawing.boxes) for drawing in drawings) / len(drawings)
    assert 0.1 < share < 0.5


def test_the_same_seed_draws_the_same_masks() -> None:
    once, again = draw_many(MaskSampler(SIDE)), draw_many(MaskSampler(SIDE))
    assert all(np.array_equal(one, other) for one, other in zip(once, again, strict=True))
    assert any(not np.array_equal(once[0], other) for other in once[1:])

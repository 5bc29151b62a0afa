"""Random holes: within the published ranges and over the whole of them, and the same for the same seed."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import ImageDraw

from training.masks import BoxRanges, DilationRanges, MaskSampler, StrokeRanges, dilated

SIDE = 256
SCALE = SIDE / 512  # the published ranges are for 512 pixels
DRAWS = 300
NO_BOXES = BoxRanges(probability=0)
ALWAYS_BOXES = BoxRanges(probability=1)

Points = list[tuple[float, float]]


class Recorder:
    """Draws, and keeps what it was asked to draw."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self.draw = draw
        self.strokes: list[tuple[Points, int]] = []
        self.boxes: list[tuple[float, float, float, float]] = []

    def line(self, points: Points, *, fill: int, width: int) -> None:
        self.strokes.append((points, width))
        self.draw.line(points, fill=fill, width=width)

    def ellipse(self, box: tuple[float, ...], *, fill: int) -> None:
        self.draw.ellipse(box, fill=fill)

    def rectangle(self, box: tuple[float, float, float, float], *, fill: int) -> None:
        self.boxes.append(box)
        self.draw.rectangle(box, fill=fill)


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Every picture that was drawn on, in order, those that covered too much among them."""
    recorders: list[Recorder] = []

    def start(*arguments: Any) -> Recorder:
        recorders.append(Recorder(ImageDraw.ImageDraw(*arguments)))
        return recorders[-1]

    monkeypatch.setattr("training.masks.ImageDraw.Draw", start)
    return recorders


def draw_many(sampler: MaskSampler, draws: int = DRAWS) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    return [sampler.draw(np.random.default_rng(seed)) for seed in range(draws)]


def fills(values: list[float], least: float, most: float) -> bool:
    """All within the range, and reaching both of its ends but for a tenth."""
    tenth = (most - least) / 10
    inside = least <= min(values) and max(values) <= most
    return inside and min(values) < least + tenth and max(values) > most - tenth


def test_the_defaults_are_the_published_numbers() -> None:
    strokes, boxes, dilation = StrokeRanges(), BoxRanges(), DilationRanges()
    assert (strokes.count, strokes.width[1], strokes.length[1], strokes.angle) == ((1, 5), 250, 450, 4)
    assert (boxes.probability, boxes.count, boxes.side, boxes.margin) == (0.3, (1, 4), (30, 300), 10)
    assert (dilation.probability, dilation.kernels, dilation.times) == (0.99, (3, 5, 7), (1, 2))
    assert MaskSampler(SIDE).most == 0.5


def test_every_mask_has_one_to_five_strokes_all_as_likely(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE))
    counts = [len(drawing.strokes) for drawing in drawings]
    assert set(counts) == {1, 2, 3, 4, 5}
    assert np.mean(counts) == pytest.approx(3, abs=0.25)


def test_strokes_reach_over_the_published_widths_and_lengths(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE, boxes=NO_BOXES))
    strokes = [stroke for drawing in drawings for stroke in drawing.strokes]
    inner = [
        math.dist(*ends)
        for points, _ in strokes
        for ends in pairwise(points)
        if all(0 < coordinate < SIDE for coordinate in ends[1])  # not cut off at the border
    ]
    assert fills([width for _, width in strokes], round(5 * SCALE), round(250 * SCALE))
    assert fills(inner, 10 * SCALE, 450 * SCALE)
    assert {len(points) - 1 for points, _ in strokes} == {1, 2, 3, 4, 5}
    assert all(0 <= coordinate <= SIDE for points, _ in strokes for point in points for coordinate in point)


def test_a_stroke_turns_by_up_to_four_radians_to_one_side(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE, boxes=NO_BOXES, strokes=StrokeRanges(angle=0.5)), draws=50)
    for drawing in drawings:
        for points, _ in drawing.strokes:
            turns = [
                math.atan2(end[1] - start[1], end[0] - start[0])
                for start, end in pairwise(points)
                if all(0 < coordinate < SIDE for coordinate in end)
            ]
            assert all(-0.5 <= turn <= 0.5 for turn in turns)
            assert len({turn > 0 for turn in turns}) <= 1


def test_boxes_reach_over_the_published_sides_and_keep_off_the_border(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE, boxes=ALWAYS_BOXES))
    counts = [len(drawing.boxes) for drawing in drawings]
    boxes = [box for drawing in drawings for box in drawing.boxes]
    sides = [end - start for box in boxes for start, end in (box[::2], box[1::2])]
    assert set(counts) == {1, 2, 3, 4}
    assert fills(sides, 30 * SCALE, 300 * SCALE)
    assert fills([coordinate for box in boxes for coordinate in box], 10 * SCALE, SIDE - 10 * SCALE)


def test_boxes_come_beside_the_strokes_three_times_in_ten(drawings: list[Recorder]) -> None:
    draw_many(MaskSampler(SIDE))
    assert np.mean([bool(drawing.boxes) for drawing in drawings]) == pytest.approx(0.3, abs=0.06)
    assert all(drawing.strokes for drawing in drawings)


@pytest.mark.parametrize("side", [64, SIDE, 512])
def test_a_mask_covers_something_and_at_most_half(side: int) -> None:
    for mask in draw_many(MaskSampler(side), draws=60):
        assert mask.shape == (side, side)
        assert 0.005 < mask.mean() <= 0.5


def test_a_smaller_limit_is_held() -> None:
    assert all(mask.mean() <= 0.1 for mask in draw_many(MaskSampler(64, most=0.1), draws=8))


def test_a_hole_is_grown_once_or_twice_by_three_five_or_seven_pixels() -> None:
    point = np.zeros((41, 41), np.bool_)
    point[20, 20] = True
    widths = [int(dilated(point, np.random.default_rng(seed)).any(0).sum()) for seed in range(2_000)]
    once, twice = {3, 5, 7}, {5, 7, 9, 11, 13}
    assert set(widths) == {1} | once | twice
    assert np.mean([width == 1 for width in widths]) == pytest.approx(0.01, abs=0.008)
    assert np.mean([width == 3 for width in widths]) == pytest.approx(0.99 / 6, abs=0.03)  # once, by three
    assert np.mean([width > 7 for width in widths]) == pytest.approx(0.99 / 2 * 6 / 9, abs=0.04)  # twice


def test_a_hole_grows_at_the_border_too() -> None:
    corner = np.zeros((20, 20), np.bool_)
    corner[0, 0] = True
    always = DilationRanges(probability=1, kernels=(5,), times=(1, 1))
    assert dilated(corner, np.random.default_rng(0), always).sum() == 9


def test_the_same_seed_draws_the_same_masks() -> None:
    once, again = draw_many(MaskSampler(SIDE), draws=10), draw_many(MaskSampler(SIDE), draws=10)
    assert all(np.array_equal(one, other) for one, other in zip(once, again, strict=True))
    assert any(not np.array_equal(once[0], other) for other in once[1:])

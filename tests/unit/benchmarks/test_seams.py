"""The measures of a seam see what people see: a step, another tone, blur; and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmarks.seam_measures import Seam, measure_seam
from benchmarks.seams import WAYS, markdown, report_of

SIDE = 160
HOLE = np.zeros((SIDE, SIDE), np.bool_)
HOLE[50:110, 50:110] = True


def texture(seed: int = 0) -> npt.NDArray[np.float64]:
    """Grain of a few pixels on grey, [SIDE, SIDE, 3]."""
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 60, (SIDE, SIDE)), 1)
    return np.repeat((128 + grain)[..., None], 3, axis=2)


def seam_of(picture: npt.NDArray[np.float64], reach: int = 4) -> Seam:
    return measure_seam(picture.clip(0, 255).astype(np.uint8), HOLE, reach)


def filled(fill: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(HOLE[..., None], fill, texture())


def test_a_picture_without_a_seam_has_none() -> None:
    seam = seam_of(texture())
    assert 0.7 < seam.edge < 1.3
    assert seam.tone < 8
    assert 0.8 < seam.sharpness < 1.2


def test_a_fill_of_another_tone_shows_as_a_step_and_as_a_tone() -> None:
    seam, without = seam_of(filled(texture(1) + 50)), seam_of(filled(texture(1)))
    assert seam.tone > without.tone + 30
    assert seam.edge > 1.5 * without.edge


def test_a_blurred_fill_shows_as_one() -> None:
    blurred = ndimage.gaussian_filter(texture(1), (4, 4, 0))
    assert seam_of(filled(blurred)).sharpness < 0.3


def test_the_tone_is_compared_direction_by_direction() -> None:
    """The means of both rings are the same here; the light is not."""
    ramp = np.broadcast_to(np.linspace(60, 200, SIDE)[None, :, None], (SIDE, SIDE, 3))
    assert seam_of(np.where(HOLE[..., None], ramp[:, ::-1], ramp)).tone > 20


def test_the_report_names_every_way_and_every_measure() -> None:
    seams = {way: [Seam(2.0, 3.0, 0.5), Seam(4.0, 5.0, 0.7)] for way in WAYS}
    text = markdown(
        report_of({"small": seams}, "a model", "an engine", "hardware"), "python -m benchmarks seams"
    )
    assert all(way in text for way in WAYS)
    assert "| 3.00 | 4.0 | 0.60 |" in text

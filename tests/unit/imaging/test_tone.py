"""Tone fields: they meet the photo on the ring, stay smooth inside, and vanish where there is nothing to mend."""

from __future__ import annotations

import numpy as np
import pytest

from service.imaging.picture import Flags
from service.imaging.tiles import Floats
from service.imaging.tone import tone_field

SIDE = 64


def ring_around(hole: tuple[int, int, int, int]) -> Flags:
    """Flags of all but the hole and the outermost cells."""
    left, top, right, bottom = hole
    ring = np.ones((SIDE, SIDE), np.bool_)
    ring[top:bottom, left:right] = False
    return ring


def ramp() -> Floats:
    """A picture [3, s, s] whose light rises from left to right."""
    return np.broadcast_to(np.linspace(-0.5, 0.5, SIDE, dtype=np.float32), (3, SIDE, SIDE)).copy()


def test_a_fill_that_meets_the_ring_is_left_alone() -> None:
    picture = ramp()
    np.testing.assert_array_equal(tone_field(picture, picture, ring_around((24, 24, 40, 40))), 0)


def test_a_ramp_across_the_hole_is_carried_through_it() -> None:
    field = tone_field(ramp(), np.zeros((3, SIDE, SIDE), np.float32), ring_around((16, 16, 48, 48)))
    np.testing.assert_allclose(field[:, 32, 20:44], ramp()[:, 32, 20:44], atol=0.02)


def test_an_empty_ring_adds_nothing() -> None:
    field = tone_field(ramp(), np.zeros((3, SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.bool_))
    np.testing.assert_array_equal(field, 0)


@pytest.mark.parametrize("offset", [-0.25, 0.5])
def test_an_even_difference_is_added_evenly(offset: float) -> None:
    picture = ramp()
    field = tone_field(picture + np.float32(offset), picture, ring_around((0, 0, 32, 64)))
    np.testing.assert_allclose(field, offset, atol=1e-5)

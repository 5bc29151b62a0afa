"""Tone fields: the fill goes on where the photo ends, smoothly, and nothing is added where there is no seam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import cholesky_banded

from service.imaging.picture import Flags
from service.imaging.tiles import Floats
from service.imaging.tone import ToneMembrane, coarse_shift

SIDE = 64


def hole_of(left: int, top: int, right: int, bottom: int) -> Flags:
    """Whole cells, as tiles have them."""
    hole = np.zeros((SIDE, SIDE), np.bool_)
    hole[top:bottom, left:right] = True
    return hole


def tone_field(reference: Floats, generated: Floats, hole: Flags, known: Flags) -> Floats:
    return ToneMembrane(hole, known).field(reference, generated)


def even(level: float) -> Floats:
    """A picture [3, s, s] of one level."""
    return np.full((3, SIDE, SIDE), level, np.float32)


def ramp(dark: float, light: float) -> Floats:
    """A picture [3, s, s] whose light rises from left to right."""
    return np.broadcast_to(np.linspace(dark, light, SIDE, dtype=np.float32), (3, SIDE, SIDE)).copy()


def test_a_fill_without_a_seam_is_left_alone() -> None:
    hole = hole_of(24, 24, 40, 40)
    np.testing.assert_array_equal(tone_field(even(0.25), even(0.25), hole, ~hole), 0)


def test_a_fill_of_another_tone_is_brought_to_the_photo_s() -> None:
    hole = hole_of(16, 16, 48, 48)
    mended = even(0.1) + tone_field(even(0.3), even(0.1), hole, ~hole)
    np.testing.assert_allclose(mended[:, hole], 0.3, atol=0.02)


def test_light_that_rises_along_the_hole_is_carried_through_it() -> None:
    hole = hole_of(16, 16, 48, 48)
    photo = ramp(-0.3, 0.3)
    mended = even(0) + tone_field(photo, even(0), hole, ~hole)
    assert np.abs(mended - photo)[:, hole].mean() < np.abs(photo)[:, hole].mean() / 3


def test_what_lies_beyond_the_photo_s_border_is_not_asked() -> None:
    hole = hole_of(16, 16, 48, 48)
    padded = ~hole
    padded[:, :16] = False
    photo = even(0.3)
    photo[:, :, :16] = -1
    mended = even(0.1) + tone_field(photo, even(0.1), hole, padded)
    np.testing.assert_allclose(mended[:, hole], 0.3, atol=0.02)


def test_a_jump_as_large_as_an_edge_of_the_picture_is_kept() -> None:
    hole = hole_of(16, 16, 48, 48)
    field = tone_field(even(0.9), even(-0.9), hole, ~hole)
    assert np.abs(field[:, hole]).max() < 0.05


def test_a_hole_that_no_photo_touches_is_left_alone() -> None:
    hole = hole_of(0, 0, SIDE, SIDE)
    np.testing.assert_array_equal(tone_field(even(0.5), even(0), hole, ~hole), 0)


def test_the_equations_of_a_hole_are_factorised_once_for_all_its_fills(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(bands: Any, **options: Any) -> Any:
        calls.append(bands.shape)
        return cholesky_banded(bands, **options)

    monkeypatch.setattr("service.imaging.membrane.cholesky_banded", counted)
    hole = hole_of(16, 16, 48, 48)
    membrane = ToneMembrane(hole, ~hole)
    fields = [membrane.field(ramp(-0.3, 0.3), even(level)) for level in (0.0, 0.1, 0.2)]
    assert len(calls) == 1
    for level, field in zip((0.0, 0.1, 0.2), fields, strict=True):
        np.testing.assert_array_equal(field, tone_field(ramp(-0.3, 0.3), even(level), hole, ~hole))


def test_a_fine_fill_takes_the_tone_of_the_first_one_and_keeps_its_own_detail() -> None:
    hole = hole_of(8, 8, 56, 56)
    checkered = np.where(np.indices((SIDE, SIDE)).sum(axis=0) % 2, 0.1, -0.1).astype(np.float32)
    fine = even(0.3) + checkered
    toned = fine + coarse_shift(ramp(-0.3, 0.3), fine, hole, 4.0)
    np.testing.assert_allclose((toned - checkered)[:, hole], ramp(-0.3, 0.3)[:, hole], atol=0.06)

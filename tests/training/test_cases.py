"""The evaluation's cases never change: scores of two models are compared over them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.training.evaluation_data import write_cutouts, write_photos
from training.cases import KINDS, hole_of, photo_cases

HOLES = "a761867f31e61529315583415a4ebd0f2cb856d53ec7600350106483a112766f"
SOLID = [np.full((30, 20, 4), 255, np.uint8), np.full((11, 48, 4), 255, np.uint8)]


def digest_of_holes(seed: int) -> str:
    """Holes of five photographs at the recipe's side, as `photo_cases` seeds them."""
    digest = hashlib.sha256()
    for index in range(5):
        for number, kind in enumerate(KINDS):
            hole = hole_of(kind, 256, SOLID, np.random.default_rng((seed, index, number)))
            digest.update(np.packbits(hole).tobytes())
    return digest.hexdigest()


def test_the_holes_are_those_of_every_score_that_was_ever_written_down() -> None:
    assert digest_of_holes(7) == HOLES


@pytest.mark.parametrize("kind", KINDS)
def test_a_hole_of_each_kind_covers_something_and_at_most_half(kind: str) -> None:
    for seed in range(10):
        hole = hole_of(kind, 64, SOLID, np.random.default_rng(seed))
        assert 0 < hole.mean() <= 0.5
        assert np.array_equal(hole, hole_of(kind, 64, SOLID, np.random.default_rng(seed)))


def test_every_photograph_comes_once_with_each_kind_of_hole(tmp_path: Path) -> None:
    photos, cutouts = write_photos(tmp_path / "photos", 3), write_cutouts(tmp_path / "cutouts")
    cases = list(photo_cases(photos, cutouts, side=64, most=2, seed=7))
    assert [(case.name, case.kind) for case in cases] == [
        (name, kind) for name in ("0000.jpg", "0001.jpg") for kind in KINDS
    ]
    again = photo_cases(photos, cutouts, side=64, most=0, seed=7)
    for case, other in zip(cases, again, strict=False):
        assert case.photo.shape == (64, 64, 3)
        assert np.array_equal(case.hole, other.hole)
        assert np.array_equal(case.photo, other.photo)

"""The evaluation's holes: within their ranges, and the same for ever."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from training.evaluation_masks import EvaluationMaskSampler

# SHA-256 of the holes of `drawn`, one after another, as packed bits.
PINNED = {
    "strokes": "db0c7dfea32ff9e9704aac142c4667c68d9787c2c9f41a1dbf5a482545a232f8",
    "boxes": "b08f005bf1c4b17d2b0d1250f83c4b25e311608ce7688a3ab1e5062859b2218b",
}
DRAWS = 12


def drawn(kind: str) -> list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    number = list(PINNED).index(kind)
    return [
        EvaluationMaskSampler(side, box_probability=number).draw(np.random.default_rng((7, seed, number)))
        for side in (64, 256)
        for seed in range(DRAWS)
    ]


@pytest.mark.parametrize("kind", sorted(PINNED))
def test_the_holes_of_the_evaluation_never_change(kind: str) -> None:
    digest = hashlib.sha256(b"".join(np.packbits(hole).tobytes() for hole in drawn(kind)))
    assert digest.hexdigest() == PINNED[kind]


def test_a_hole_covers_something_and_at_most_the_limit() -> None:
    for seed in range(20):
        assert 0 < EvaluationMaskSampler(64, most=0.2).draw(np.random.default_rng(seed)).mean() <= 0.2

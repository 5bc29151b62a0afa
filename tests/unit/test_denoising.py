"""Which rows a step has, and what is done to the network's predictions."""

from __future__ import annotations

import numpy as np

from service.denoising import LatentBatch, StepCoefficients, StepRows, update


def row(guidance: float, **others: float) -> StepCoefficients:
    return StepCoefficients(7, others.pop("a", 0.0), others.pop("b", 1.0), guidance, **others)


def batch(samples: int) -> LatentBatch:
    x = np.arange(samples, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 4, 2, 2), np.float32)
    return LatentBatch(x, 10 * x, np.zeros((samples, 5, 2, 2), np.float32))


def predictions(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 4, 2, 2), np.float32)


def test_the_positive_rows_come_first_and_the_negative_ones_of_guided_samples_after_them() -> None:
    rows = StepRows.of([row(2.0), row(1.0), row(3.0)])
    assert rows.source.tolist() == [0, 1, 2, 0, 2]
    assert rows.branch.tolist() == [0, 0, 0, 1, 1]
    assert rows.negative.tolist() == [3, 1, 4]


def test_guidance_leads_away_from_a_samples_own_negative_row() -> None:
    rows = StepRows.of([row(2.0), row(1.0), row(3.0)])
    moved = update(batch(3), rows, predictions(1, 2, 3, 10, 30))
    assert moved.x[:, 0, 0, 0].tolist() == [10 + 2 * (1 - 10), 2, 30 + 3 * (3 - 30)]


def test_a_broken_neighbour_touches_no_other_sample() -> None:
    rows = StepRows.of([row(2.0), row(2.0)])
    moved = update(batch(2), rows, predictions(1, float("nan"), 10, float("inf")))
    assert np.isfinite(moved.x[0]).all()


def test_the_clean_latents_of_the_step_before_have_their_own_weight() -> None:
    rows = StepRows.of([row(1.0, a=2.0, b=3.0, c=5.0, p=7.0, q=11.0)])
    start = LatentBatch(*(np.full((1, n, 2, 2), v, np.float32) for n, v in ((4, 1), (4, 10), (5, 0))))
    moved = update(start, rows, predictions(100))
    assert moved.x[0, 0, 0, 0] == 2 * 1 + 3 * 100 + 5 * 10
    assert moved.clean[0, 0, 0, 0] == 7 * 1 + 11 * 100

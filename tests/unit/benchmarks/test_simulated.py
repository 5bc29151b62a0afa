"""A curve says what a step takes, which batch a worker chooses on it, and how many pictures that makes."""

from __future__ import annotations

import pytest

from benchmarks.simulated import Curve


def test_a_step_takes_its_own_time_and_that_of_each_item() -> None:
    assert Curve("c", 0.004, 0.016).seconds(8) == pytest.approx(0.132)


def test_where_steps_do_not_grow_the_largest_batch_is_chosen_and_capacity_grows_with_it() -> None:
    flat = Curve("flat", 0.02, 0.0)
    assert flat.chosen_batch(8) == 8
    assert flat.capacity((20,), 8) == pytest.approx(8 / (20 * 0.02))
    assert flat.capacity((20,), 6) == pytest.approx(6 / (20 * 0.02))


def test_where_steps_grow_with_the_batch_capacity_is_that_of_the_batch_which_a_worker_chooses() -> None:
    near_linear = Curve("near-linear", 0.004, 0.016)
    assert near_linear.chosen_batch(8) == 4
    assert near_linear.capacity((20,), 8) == pytest.approx(4 / (20 * 0.068))


def test_capacity_counts_the_mean_steps() -> None:
    flat = Curve("flat", 0.02, 0.0)
    assert flat.capacity((10, 30), 8) == flat.capacity((20,), 8)

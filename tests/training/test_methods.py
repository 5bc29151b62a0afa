"""What fills the holes: OpenCV, and models of the store with the steps that each is sampled by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.errors import InvalidParameter
from tests.training.evaluation_data import photo
from training.methods import ModelChoice, ModelSettings, model_methods, opencv_methods

HOLE = np.zeros((64, 64), np.bool_)
HOLE[20:40, 20:40] = True


def test_opencv_fills_the_hole_and_nothing_else() -> None:
    damaged = np.where(HOLE[..., None], np.uint8(255), np.clip(photo(0), 0, 250))
    for method in opencv_methods():
        filled = method.fill(damaged, HOLE)
        assert np.array_equal(filled[~HOLE], damaged[~HOLE])
        assert (filled[HOLE] != 255).mean() > 0.9
        assert method.forwards == 0


def settings(store: Path) -> ModelSettings:
    return ModelSettings(store, steps=5, guidance_scale=2.0, seed=7)


def test_a_guided_step_is_two_forwards_and_an_unguided_one_is_one(small_model: Path) -> None:
    name = small_model.name
    choices = [ModelChoice(name), ModelChoice(name, guidance_scale=1.0), ModelChoice(name, 3)]
    methods = model_methods(choices, settings(small_model.parent))
    assert {method.name: method.forwards for method in methods} == {
        "small, 5 steps, guidance 2": 10,
        "small, 5 steps, guidance 1": 5,
        "small, 3 steps, guidance 2": 6,
    }


def test_a_few_step_model_is_run_by_its_own_steps(small_model: Path, few_step_model: Path) -> None:
    choices = [ModelChoice(small_model.name), ModelChoice(few_step_model.name)]
    methods = model_methods(choices, settings(few_step_model.parent))
    assert {method.name: method.forwards for method in methods} == {"small": 10, "small-4step": 4}


def test_steps_that_a_few_step_model_does_not_have_are_refused(few_step_model: Path) -> None:
    with pytest.raises(InvalidParameter, match="distilled to 4 steps"):
        model_methods([ModelChoice(few_step_model.name, steps=20)], settings(few_step_model.parent))


def test_a_model_fills_the_hole_and_nothing_else_and_the_same_each_time(small_model: Path) -> None:
    method = model_methods([ModelChoice(small_model.name)], settings(small_model.parent))[0]
    filled = method.fill(photo(0), HOLE)
    assert np.array_equal(filled[~HOLE], photo(0)[~HOLE])
    assert not np.array_equal(filled[HOLE], photo(0)[HOLE])
    assert np.array_equal(filled, method.fill(photo(0), HOLE))

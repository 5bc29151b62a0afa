"""The evaluation: several models beside OpenCV in one table, the same numbers on every run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.evaluation_data import write_cutouts, write_photos
from training.cases import photo_cases
from training.errors import RecipeError
from training.evaluate import EvaluationRecipe, evaluate
from training.methods import ModelChoice, opencv_methods
from training.recipe_file import read_recipe
from training.results import ResultFolder


@pytest.fixture
def recipe(tmp_path: Path, small_model: Path, few_step_model: Path) -> EvaluationRecipe:
    """Two photographs, both models."""
    return EvaluationRecipe(
        photos=write_photos(tmp_path / "photos", 2),
        cutouts=write_cutouts(tmp_path / "cutouts"),
        output=tmp_path / "evaluation",
        store=small_model.parent,
        models=(small_model.name, few_step_model.name),
        side=64,
        steps=3,
        grid=("0000", "0001"),
    )


def scores_without_seconds(recipe: EvaluationRecipe) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((recipe.output / "scores.json").read_text())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_two_models_are_measured_beside_opencv_and_the_same_on_every_run(recipe: EvaluationRecipe) -> None:
    evaluate(recipe)
    first = scores_without_seconds(recipe)
    names = ["Telea", "Navier-Stokes", "small", "small-4step"]
    assert [(row["kind"], row["method"]) for row in first] == [
        (kind, name) for kind in ("all", "strokes", "boxes", "object") for name in names
    ]
    assert [row["forwards"] for row in first[:4]] == [0, 0, 6, 4]
    with Image.open(recipe.output / "grid.png") as grid:
        assert grid.size == (6 * 64, 2 * 64)
    assert "| small-4step |" in (recipe.output / "scores.md").read_text()
    evaluate(recipe)
    assert scores_without_seconds(recipe) == first


def test_an_ended_run_goes_on_from_the_pictures_that_it_made(recipe: EvaluationRecipe) -> None:
    case = next(photo_cases(recipe.photos, recipe.cutouts, side=64, most=0, seed=recipe.seed))
    black = replace(opencv_methods()[0], fill=lambda photo, hole: np.zeros_like(photo))
    kept = ResultFolder(recipe.output / "results")
    kept.result(case, black)
    with_the_kept_picture = evaluate(recipe)[0]
    assert with_the_kept_picture.method == black.name
    assert not kept.root.exists()
    assert evaluate(recipe)[0].psnr > with_the_kept_picture.psnr


def test_models_are_named_with_or_without_settings_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "evaluate: {photos: a, cutouts: b, output: c, store: d, model: one,\n"
        "  models: [two, {name: one, steps: 4, guidance_scale: 1.0}, two]}\n"
    )
    recipe = read_recipe(path, "evaluate", EvaluationRecipe)
    assert recipe.choices == [ModelChoice("one"), ModelChoice("two"), ModelChoice("one", 4, 1.0)]


def test_a_recipe_without_a_model_or_with_an_unknown_setting_of_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    for models, complaint in (("[]", "name a model of the store"), ("[{name: a, stepz: 4}]", "stepz")):
        path.write_text(
            f"evaluate: {{photos: a, cutouts: b, output: c, store: d, models: {models}}}\n", encoding="utf-8"
        )
        with pytest.raises(RecipeError, match=complaint):
            read_recipe(path, "evaluate", EvaluationRecipe)

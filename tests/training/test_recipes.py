"""Recipes: every section of every recipe fits its job, and a misspelt setting is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.recipe_file import read_recipe
from training.diffusion import DiffusionRecipe

RECIPES = Path(__file__).resolve().parents[2] / "training" / "recipes"


def test_the_published_recipe_can_be_read() -> None:
    recipe = read_recipe(RECIPES / "nano.yaml", "train", DiffusionRecipe)
    assert isinstance(recipe.latents, Path)
    assert recipe.steps > 0


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("train: {latents: a, output: b, steps: 1, lerning_rate: 0.1}\n")
    with pytest.raises(ValueError, match="lerning_rate"):
        read_recipe(path, "train", DiffusionRecipe)

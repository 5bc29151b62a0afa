"""The model card: its stages, its tables, and the model before it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from service.artifacts import FewStepSampling
from training.card import SOURCE_COLUMNS, CardRecipe, Stage, sampling_sentence, write_model_card
from training.errors import RecipeError
from training.recipe_file import read_recipe


def scores(*methods: tuple[str, int, float]) -> list[dict[str, Any]]:
    """Rows of methods: name, forwards, feature distance."""
    return [
        {
            "method": name,
            "kind": kind,
            "psnr": 17.0,
            "ssim": 0.4,
            "feature_distance": distance,
            "frechet": 5.0,
            "forwards": forwards,
            "seconds": 1.0,
        }
        for kind in ("all", "boxes")
        for name, forwards, distance in methods
    ]


def run_folder(folder: Path, steps: int) -> Path:
    folder.mkdir()
    rows = "\n".join(f"{step},{1 / (step + 1)},3.0" for step in range(steps))
    (folder / "losses.csv").write_text(f"step,task,a_task\n{rows}\n")
    return folder


def write_sources(path: Path) -> Path:
    """Two crops of one picture, a cut-out, and a validation photograph."""
    files = ["train/a-0.jpg", "train/a-1.jpg", "cutouts/b.png", "val/c.jpg"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["file", *SOURCE_COLUMNS])
        for name in files:
            source = name.split("/")[1][0]
            writer.writerow([name, "package", "1", source, f"licence of {source}", "someone", "file"])
    return path


@pytest.fixture
def recipe(tmp_path: Path, small_model: Path) -> CardRecipe:
    """Three stages; the model beside Telea and its few-step sibling, and an earlier model."""
    shutil.copytree(small_model, tmp_path / "store" / "small")
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    rows = scores(("Telea", 0, 0.4), ("small", 40, 0.3), ("small-4step", 4, 0.32))
    (evaluation / "scores.json").write_text(json.dumps(rows))
    Image.new("RGB", (40, 20)).save(evaluation / "grid.png")
    (tmp_path / "before.json").write_text(json.dumps(scores(("Telea", 0, 0.4), ("old", 40, 0.6))))
    (tmp_path / "limits.md").write_text("## Limits\nIt is small.\n")
    return CardRecipe(
        stages=(
            Stage("autoencoder", "crops, by L1", 8, run_folder(tmp_path / "autoencoder", 30)),
            Stage("latents", "encoded once", 16),
            Stage("distillation", "four losses", 4, run_folder(tmp_path / "distil", 120)),
        ),
        evaluation=evaluation,
        sources=write_sources(tmp_path / "SOURCES.tsv"),
        store=tmp_path / "store",
        name="small",
        training_hardware="two cores",
        made_by="`tiny.yaml`: every job in turn",
        limits=tmp_path / "limits.md",
        before=tmp_path / "before.json",
        before_model="old",
    )


def card_of(recipe: CardRecipe) -> str:
    write_model_card(recipe)
    return (recipe.store / recipe.name / "MODEL_CARD.md").read_text()


def test_the_card_names_every_stage_with_its_steps_and_draws_its_curves(recipe: CardRecipe) -> None:
    card = card_of(recipe)
    assert "| autoencoder | 30 | 8 | crops, by L1 |" in card
    assert "| latents | - | 16 | encoded once |" in card
    assert "| distillation | 120 | 4 | four losses |" in card
    assert "![loss curves](losses.png)" in card
    with Image.open(recipe.store / "small" / "losses.png") as curves:
        assert curves.width > curves.height


def test_the_card_shows_both_models_side_by_side_with_their_forwards(recipe: CardRecipe) -> None:
    card = card_of(recipe)
    assert "| all | small | **17.00** | **0.400** | **0.3000** | **5.00** | 40 | 1.00 |" in card
    assert "| all | small-4step | **17.00** | **0.400** | 0.3200 | **5.00** | 4 | 1.00 |" in card
    assert "25.0 % below Telea's" in card
    assert "Photograph, hole, Telea, small, small-4step:" in card


def test_the_card_shows_the_earlier_model_and_the_change(recipe: CardRecipe) -> None:
    assert "| 0.6000 | 0.3000 | -50.0 % |" in card_of(recipe)
    assert "Before and after" not in card_of(replace(recipe, before=None))


def test_the_card_counts_what_was_trained_on_and_lists_each_source_once(recipe: CardRecipe) -> None:
    card = card_of(recipe)
    assert "| licence of a | 2 |" in card
    assert "licence of c" not in card
    listed = (recipe.store / "small" / "SOURCES.tsv").read_text().splitlines()
    assert len(listed) == 3


def test_no_placeholder_and_no_empty_part_is_left(recipe: CardRecipe) -> None:
    for one in (recipe, replace(recipe, before=None, stages=(Stage("latents", "encoded", 16),))):
        card = card_of(one)
        assert "$" not in card
        assert "\n\n\n" not in card
        assert card.endswith("It is small.\n")


def test_scores_that_are_not_of_the_model_are_refused(recipe: CardRecipe) -> None:
    with pytest.raises(RecipeError, match="no scores of other, only of Telea, small"):
        write_model_card(replace(recipe, name="other"))
    with pytest.raises(RecipeError, match="set before_model to one of Telea, old"):
        write_model_card(replace(recipe, before_model=""))


def test_a_few_step_model_says_its_steps() -> None:
    sentence = sampling_sentence(FewStepSampling(timesteps=(999, 749, 499, 249), guidance_scale=2.0))
    assert sentence.startswith("Distilled to 4 steps (timesteps 999, 749, 499, 249) and to guidance scale 2:")
    assert "request's choice" in sampling_sentence(None)


def test_the_built_in_models_recipe_names_its_stages() -> None:
    path = Path(__file__).resolve().parents[2] / "training" / "recipes" / "nano.yaml"
    assert read_recipe(path, "card", CardRecipe).stages

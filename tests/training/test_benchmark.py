"""The benchmark of the user's folders: tables beside the published numbers, resumable, the same on every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.training.evaluation_data import SIDE, write_pairs
from training.benchmark import BenchmarkRecipe, benchmark
from training.errors import DataError
from training.picture_pairs import PictureSet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path: Path, small_model: Path) -> BenchmarkRecipe:
    """Three pairs of a set of the paper, one of which can't be measured."""
    pictures, masks = write_pairs(tmp_path, 3)
    Image.new("RGB", (8, 8)).save(pictures / "001.png")
    wanted = PictureSet("Places2 test", pictures, masks, SIDE)
    return BenchmarkRecipe(
        store=small_model.parent,
        output=tmp_path / "benchmark",
        sets=(wanted,),
        model=small_model.name,
        steps=2,
        opencv=True,
    )


def scores(recipe: BenchmarkRecipe) -> list[dict[str, Any]]:
    """The scores without the seconds."""
    rows: list[dict[str, Any]] = json.loads((recipe.output / "scores.json").read_text())["scores"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_sets_are_measured_beside_the_published_numbers(recipe: BenchmarkRecipe) -> None:
    benchmark(recipe)
    assert [(row["method"], row["pictures"], row["forwards"]) for row in scores(recipe)] == [
        ("Telea", 2, 0),
        ("Navier-Stokes", 2, 0),
        ("small", 2, 4),
    ]
    page = (recipe.output / "tables.md").read_text()
    assert "| Moebius, published | 9.48 | 0.207 |" in page
    assert "1 pairs were skipped" in page
    assert "001.png is 8 x 8" in (recipe.output / "skipped.tsv").read_text()
    with Image.open(recipe.output / "Places2 test.png") as grid:
        assert grid.size == (5 * SIDE, 2 * SIDE)


def test_what_can_not_be_had_is_said_and_fails_nothing(recipe: BenchmarkRecipe) -> None:
    benchmark(recipe)
    missing = json.loads((recipe.output / "scores.json").read_text())["not_available"]
    page = (recipe.output / "tables.md").read_text()
    assert all(f"not available: {name}: {reason}" in page for name, reason in missing.items())
    for name in ("FID", "KID", "LPIPS"):
        assert (name in missing) == all(row[name.lower()] is None for row in scores(recipe))


def test_a_second_run_takes_the_results_that_are_there_and_ends_alike(recipe: BenchmarkRecipe) -> None:
    benchmark(recipe)
    first = scores(recipe)
    result = recipe.output / "results" / "Places2 test" / "small" / "000.given.png"
    made = result.stat().st_mtime_ns
    (result.parent / "002.given.png").unlink()
    benchmark(recipe)
    assert result.stat().st_mtime_ns == made
    assert scores(recipe) == first


def test_several_processes_share_the_filling_and_end_with_the_numbers_of_one(recipe: BenchmarkRecipe) -> None:
    benchmark(recipe)
    shared = replace(recipe, output=recipe.output.with_name("shared"))
    one_set = {name: str(value) for name, value in vars(recipe.sets[0]).items() if value is not None}
    section = {
        "store": str(recipe.store),
        "output": str(shared.output),
        "sets": [one_set | {"size": SIDE}],
        "model": recipe.model,
        "steps": recipe.steps,
        "opencv": True,
    }
    config = recipe.output / "recipe.yaml"
    config.write_text(yaml.safe_dump({"benchmark": section}))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    subprocess.run(
        [*launch, "-m", "training", "benchmark", "--config", str(config)],
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    # The processes have one thread each, this one all cores: sums of another order differ in the last digits.
    for theirs, ours in zip(scores(shared), scores(recipe), strict=True):
        rounded = {
            name: pytest.approx(x, rel=1e-5) if isinstance(x, float) else x for name, x in ours.items()
        }
        assert theirs == rounded


def test_a_missing_folder_is_an_error_before_anything_starts(recipe: BenchmarkRecipe) -> None:
    gone = replace(recipe.sets[0], masks=Path("nowhere"))
    with pytest.raises(DataError, match="nowhere is not a folder"):
        benchmark(replace(recipe, sets=(gone,), store=Path("no store either")))


def test_a_set_without_one_good_pair_is_an_error(recipe: BenchmarkRecipe) -> None:
    with pytest.raises(DataError, match="no pair can be measured"):
        benchmark(replace(recipe, sets=(replace(recipe.sets[0], size=512),)))


def test_a_set_may_have_a_model_of_its_own(recipe: BenchmarkRecipe, few_step_model: Path) -> None:
    own = replace(recipe.sets[0], name="FFHQ 256", model=few_step_model.name)
    benchmark(replace(recipe, sets=(recipe.sets[0], own), opencv=False))
    assert [(row["set"], row["method"], row["forwards"]) for row in scores(recipe)] == [
        ("Places2 test", "small", 4),
        ("FFHQ 256", "small-4step", 4),
    ]


def test_sets_without_a_model_are_refused(recipe: BenchmarkRecipe) -> None:
    with pytest.raises(ValueError, match="name a model"):
        replace(recipe, model="")


def test_sets_of_one_name_are_refused(recipe: BenchmarkRecipe) -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        replace(recipe, sets=recipe.sets * 2)

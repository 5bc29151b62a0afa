"""Recipes: every section of every recipe fits its job, stages are jobs, and a misspelt setting is named."""

from __future__ import annotations

import csv
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig

from training.diffusion import DiffusionRecipe
from training.errors import RecipeError
from training.jobs import JOBS
from training.recipe_file import read_recipe, read_stages

RECIPES = Path(__file__).resolve().parents[2] / "training" / "recipes"
FILES = sorted(RECIPES.glob("*.yaml"))
SECTIONS = {job.section: job for job in JOBS.values()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_section_of_a_recipe_fits_its_job(path: Path) -> None:
    sections = [name for name in yaml.safe_load(path.read_text()) if name != "stages"]
    assert sections
    for name in sections:
        job = SECTIONS[name]
        kind: type[object] = getattr(import_module(job.module), job.recipe)
        assert isinstance(read_recipe(path, name, kind), kind)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_stage_of_a_recipe_is_a_job_that_it_has_a_section_for(path: Path) -> None:
    sections = yaml.safe_load(path.read_text())
    for job in JOBS:
        stages = read_stages(path, job)
        assert set(stages) <= set(JOBS)
        if len(stages) > 1:
            assert all(JOBS[stage].section in sections for stage in stages)
            assert job in stages


def test_the_published_settings_are_those_of_the_paper() -> None:
    settings = yaml.safe_load((RECIPES / "pretrain.yaml").read_text())["distil"]
    assert (settings["steps"], settings["ema_decay"]) == (200_000, 0.9999)
    assert settings["matrix_learning_rate"] == settings["vector_learning_rate"] == 1e-4


def test_every_photograph_that_comes_along_has_its_source() -> None:
    folder = RECIPES / "tiny-photos"
    with (folder / "SOURCES.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["file"] for row in rows} == {path.name for path in folder.glob("*.jpg")}
    assert {row["licence"] for row in rows} <= {"public domain", "CC0-1.0"}


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("train: {latents: a, output: b, steps: 1, lerning_rate: 0.1}\n")
    with pytest.raises(RecipeError, match="lerning_rate"):
        read_recipe(path, "train", DiffusionRecipe)


def test_a_job_without_stages_stands_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("stages: {distil: [latents, distil]}\ntrain: {}\n")
    assert read_stages(path, "train") == ["train"]
    assert read_stages(path, "distil") == ["latents", "distil"]


@pytest.mark.parametrize("stages", ["[latents]", "{distil: latents}", "{distil: []}", "{distil: [1]}"])
def test_stages_that_are_no_list_of_jobs_are_refused(tmp_path: Path, stages: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"stages: {stages}\n")
    with pytest.raises(RecipeError, match="stages"):
        read_stages(path, "distil")


@pytest.mark.parametrize(
    "path", sorted((RECIPES.parent / "launch").glob("*.yaml")), ids=lambda path: path.stem
)
def test_accelerate_reads_the_launch_files(path: Path) -> None:
    config = ClusterConfig.from_yaml_file(str(path))
    assert config.num_processes == 8
    assert config.mixed_precision == "bf16"

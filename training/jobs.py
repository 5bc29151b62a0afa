"""The offline jobs by name. A job's module is imported when it runs: help and errors of recipes wait for no PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from training.recipe_file import read_recipe


@dataclass(frozen=True)
class Job:
    """`description` for the help; the recipe's `section` and dataclass, and what runs it, both in `module`.

    `run` is a function of the recipe, or a trainer's class.
    """

    description: str
    section: str
    module: str
    recipe: str
    run: str

    def recipe_of(self, config: Path) -> Any:
        """The job's section of a recipe file as its dataclass. Raises RecipeError."""
        return read_recipe(config, self.section, getattr(import_module(self.module), self.recipe))

    def start(self, config: Path) -> None:
        """Run the job by its section of a recipe file. Raises RecipeError before anything else starts."""
        recipe = self.recipe_of(config)
        module = import_module(self.module)
        run: Callable[[Any], Any] = getattr(module, self.run)
        started = run(recipe)
        if isinstance(run, type):
            started.run()


JOBS = {
    "autoencoder": Job(
        "photographs -> a small autoencoder",
        "autoencoder",
        "training.autoencoder",
        "AutoencoderRecipe",
        "AutoencoderTrainer",
    ),
    "latents": Job(
        "pictures and an autoencoder -> shards of latents, so that encoding costs nothing per epoch",
        "latents",
        "training.latent_encoding",
        "LatentRecipe",
        "encode_recipe",
    ),
    "train": Job(
        "shards of latents -> a U-Net, trained without a teacher",
        "train",
        "training.diffusion",
        "DiffusionRecipe",
        "DiffusionTrainer",
    ),
    "teacher": Job(
        "shards of latents -> a small teacher to distil from",
        "teacher",
        "training.diffusion",
        "DiffusionRecipe",
        "DiffusionTrainer",
    ),
    "distil": Job(
        "shards of latents and a teacher -> a U-Net, by the published four losses",
        "distil",
        "training.distil",
        "DistilRecipe",
        "DistilTrainer",
    ),
    "few-step": Job(
        "a U-Net -> one that needs no guidance and four steps",
        "few_step",
        "training.few_step",
        "FewStepRecipe",
        "FewStepTrainer",
    ),
    "export": Job(
        "a trained autoencoder and U-Net -> a model of the store",
        "export",
        "training.release",
        "ReleaseRecipe",
        "release",
    ),
    "evaluate": Job(
        "a model of the store -> scores and a picture grid",
        "evaluate",
        "training.evaluate",
        "EvaluationRecipe",
        "evaluate",
    ),
    "benchmark": Job(
        "models and sets of pictures and masks -> the paper's tables",
        "benchmark",
        "training.benchmark",
        "BenchmarkRecipe",
        "benchmark",
    ),
    "card": Job(
        "runs and scores -> MODEL_CARD.md beside the model",
        "card",
        "training.card",
        "CardRecipe",
        "write_model_card",
    ),
    "report": Job(
        "a run's folder -> a page with its curves and samples",
        "report",
        "training.report",
        "ReportRecipe",
        "report",
    ),
}

"""Measures models of the store on validation photographs against OpenCV's Telea and Navier-Stokes inpainting.

Holes are fixed by the seed: strokes, boxes and object shapes. Every method fills the same pixels. The measures are
in scores.py, what is measured in cases.py, what fills the holes in methods.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic.dataclasses import dataclass

from training.cases import KINDS, Case, photo_cases
from training.grids import grid_row
from training.methods import ModelChoice, ModelSettings, model_choices, model_methods, opencv_methods
from training.photos import Pixels
from training.results import ResultFolder
from training.scores import FeatureJudge, Measured, Score, measure, score
from training.tables import score_table


@dataclass(frozen=True, config={"extra": "forbid"})
class EvaluationRecipe:
    """Settings of the evaluation (recipes/nano.yaml). One model is named by `model`, several by `models`, each by
    its name or by name, steps and guidance_scale.
    """

    photos: Path
    cutouts: Path
    output: Path
    store: Path
    model: str = ""
    models: tuple[ModelChoice | str, ...] = ()
    side: int = 256
    most: int = 0
    steps: int = 20
    guidance_scale: float = 2.0
    seed: int = 7
    # Photographs that the grid may show, by the start of their file names: those free of conditions.
    grid: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        model_choices(self.model, self.models)  # a recipe without a model is refused when it is read

    @property
    def choices(self) -> list[ModelChoice]:
        """The models to measure."""
        return model_choices(self.model, self.models)

    @property
    def settings(self) -> ModelSettings:
        """How the models are opened and sampled."""
        return ModelSettings(self.store, self.steps, self.guidance_scale, self.seed)


def is_shown(recipe: EvaluationRecipe, case: Case) -> bool:
    """One kind of hole for each photograph of the grid, the kinds taking turns."""
    for position, start in enumerate(recipe.grid):
        if case.name.startswith(start):
            return case.kind == KINDS[position % len(KINDS)]
    return False


def evaluate(recipe: EvaluationRecipe) -> list[Score]:
    """Score every method; writes scores.json, scores.md and grid.png into the output folder.

    A run that was ended goes on from the pictures in `results`, which a finished run takes away.
    """
    methods, judge = [*opencv_methods(), *model_methods(recipe.choices, recipe.settings)], FeatureJudge()
    results = ResultFolder(recipe.output / "results")
    rows: dict[str, list[Measured]] = {method.name: [] for method in methods}
    shown: list[Pixels] = []
    cases = photo_cases(recipe.photos, recipe.cutouts, side=recipe.side, most=recipe.most, seed=recipe.seed)
    for number, case in enumerate(cases, start=1):
        filled = [results.result(case, method) for method in methods]
        for method, (picture, seconds) in zip(methods, filled, strict=True):
            rows[method.name].append(measure(case, picture, seconds, judge))
        if is_shown(recipe, case):
            shown.append(grid_row(case, [picture for picture, _ in filled]))
        if number % 16 == 0:
            print(f"{number} cases measured", flush=True)
    scores = [score(method, kind, rows[method.name]) for kind in ("all", *KINDS) for method in methods]
    _write(recipe.output, scores, shown)
    shutil.rmtree(results.root)
    return scores


def _write(output: Path, scores: Sequence[Score], shown: Sequence[Pixels]) -> None:
    rows = [asdict(row) for row in scores]
    (output / "scores.json").write_text(json.dumps(rows, indent=1))
    (output / "scores.md").write_text(score_table(rows) + "\n", encoding="utf-8")
    if shown:
        Image.fromarray(np.concatenate(shown)).save(output / "grid.png")

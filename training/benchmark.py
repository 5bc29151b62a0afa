"""The paper's tables: models measured on sets of pictures and masks that the user has (Places2, CelebA-HQ, FFHQ).

As published: the network sees the whole picture at once. `torchrun` spreads the filling over several GPUs; the first
process measures. Every result is kept, so that an ended run goes on and other tools can read the folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from pydantic.dataclasses import dataclass

from service.contracts import Strategy
from training.benchmark_tables import SetScore, benchmark_page
from training.methods import Method, ModelChoice, ModelSettings, model_choices, model_methods, opencv_methods
from training.picture_pairs import PictureSet
from training.scores import FeatureJudge
from training.set_benchmark import SetBenchmark, SetResult

WAIT_FOR_OTHERS = timedelta(days=7)


@dataclass(frozen=True, config={"extra": "forbid"})
class BenchmarkRecipe:
    """The sets, and the models as in EvaluationRecipe. `opencv` adds its methods; `grid` pictures of each set are
    shown.
    """

    store: Path
    output: Path
    sets: tuple[PictureSet, ...]
    model: str = ""
    models: tuple[ModelChoice | str, ...] = ()
    steps: int = 20
    guidance_scale: float = 2.0
    seed: int = 7
    opencv: bool = False
    grid: int = 6

    def __post_init__(self) -> None:
        for wanted in self.sets:
            self.choices(wanted)  # a set without a model is refused when the recipe is read
        if len({one.name for one in self.sets}) < len(self.sets) or not self.sets:
            raise ValueError("sets: name at least one, and each by a name of its own")

    def choices(self, wanted: PictureSet) -> list[ModelChoice]:
        """The models to measure on a set: its own one, or the recipe's."""
        return model_choices(wanted.model, ()) if wanted.model else model_choices(self.model, self.models)

    def methods(self, choices: Sequence[ModelChoice], device: str) -> list[Method]:
        """What fills the holes, on one device."""
        settings = ModelSettings(
            self.store,
            self.steps,
            self.guidance_scale,
            self.seed,
            device,
            strategy=Strategy.RESIZE,
            color_match=False,
        )
        return [*(opencv_methods() if self.opencv else []), *model_methods(choices, settings)]


def benchmark(recipe: BenchmarkRecipe) -> list[SetScore]:
    """Fill and measure every set; writes scores.json, tables.md, skipped.tsv and a grid a set into the output folder.

    Raises DataError before anything starts when a folder of a set is missing or empty. Only the first process
    returns scores.
    """
    sets = [SetBenchmark(wanted, recipe.output / "results") for wanted in recipe.sets]
    has_gpu = torch.cuda.is_available()
    processes = PartialState(cpu=not has_gpu, timeout=WAIT_FOR_OTHERS)
    device = f"cuda:{processes.local_process_index}" if has_gpu else "cpu"
    # Sets with the same models share them: a model is loaded once.
    choices = [tuple(recipe.choices(wanted)) for wanted in recipe.sets]
    loaded = {chosen: recipe.methods(chosen, device) for chosen in choices}
    methods = [loaded[chosen] for chosen in choices]
    for one, fills in zip(sets, methods, strict=True):
        one.fill(fills, processes.process_index, processes.num_processes)
    processes.wait_for_everyone()
    if not processes.is_main_process:
        return []
    judge = FeatureJudge(device)
    measured = [one.measured(fills, judge, recipe.grid) for one, fills in zip(sets, methods, strict=True)]
    return _write(recipe, measured)


def _write(recipe: BenchmarkRecipe, measured: Sequence[SetResult]) -> list[SetScore]:
    output = recipe.output
    scores = [row for one in measured for row in one.scores]
    reasons = {name: reason for one in measured for name, reason in one.reasons.items()}
    skipped = [
        (wanted.name, pair.name, pair.reason)
        for wanted, one in zip(recipe.sets, measured, strict=True)
        for pair in one.skipped
    ]
    output.mkdir(parents=True, exist_ok=True)
    report = {"scores": [asdict(row) for row in scores], "not_available": reasons}
    (output / "scores.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    with (output / "skipped.tsv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([("set", "pair", "reason"), *skipped])
    for wanted, one in zip(recipe.sets, measured, strict=True):
        if one.grid:
            Image.fromarray(np.concatenate(one.grid)).save(output / f"{wanted.name}.png")
    page = benchmark_page(scores, reasons, len(skipped))
    (output / "tables.md").write_text(page, encoding="utf-8")
    print(page)
    return scores

"""The paper's tables: models measured on sets of pictures and masks that the user has (Places2, CelebA-HQ, FFHQ).

As published: the network sees the whole picture at once. `torchrun` spreads the filling over several GPUs; the first
process measures. Every result is kept, so that an ended run goes on and other tools can read the folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from pydantic.dataclasses import dataclass

from service.contracts import Strategy
from training.benchmark_tables import SetScore, benchmark_page
from training.cases import Case
from training.downloaded_metrics import DownloadedMetrics
from training.errors import DataError
from training.grids import grid_row
from training.methods import (
    Method,
    ModelChoice,
    ModelSettings,
    model_choices,
    model_methods,
    opencv_methods,
)
from training.photos import Pixels
from training.picture_pairs import (
    BadPicture,
    Pair,
    PictureSet,
    Skipped,
    find_pairs,
    picture_files,
    read_pair,
    read_picture,
)
from training.results import ResultFolder
from training.scores import FeatureJudge, Measured, Vector, measure, score

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
        self.choices  # noqa: B018 - a recipe without a model is refused when it is read
        if len({one.name for one in self.sets}) < len(self.sets) or not self.sets:
            raise ValueError("sets: name at least one, and each by a name of its own")

    @property
    def choices(self) -> list[ModelChoice]:
        """The models to measure."""
        return model_choices(self.model, self.models)

    def methods(self, device: str) -> list[Method]:
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
        return [*(opencv_methods() if self.opencv else []), *model_methods(self.choices, settings)]


@plain_dataclass(frozen=True)
class SetResult:
    """What was measured on one set."""

    scores: list[SetScore]
    skipped: list[Skipped]
    grid: list[Pixels]
    reasons: dict[str, str]


class SetBenchmark:
    """One set of the recipe. Raises DataError when its folders are not there or hold nothing."""

    def __init__(self, wanted: PictureSet, root: Path) -> None:
        self.wanted = wanted
        self.pairs, self.unpaired = find_pairs(wanted)
        self.reference = [] if wanted.reference is None else list(picture_files(wanted.reference).values())
        self.results = ResultFolder(root / wanted.name)

    def cases(self, pairs: Sequence[Pair], skipped: list[Skipped]) -> Iterator[Case]:
        """Every case that can be read; the others are added to `skipped`."""
        for pair in pairs:
            try:
                yield read_pair(pair, self.wanted.size)
            except BadPicture as error:
                skipped.append(Skipped(pair.name, str(error)))

    def fill(self, methods: Sequence[Method], rank: int, ranks: int) -> None:
        """Make this process's share of the results."""
        share = self.pairs[rank::ranks]
        for number, case in enumerate(self.cases(share, []), start=1):
            for method in methods:
                self.results.result(case, method)
            if number % 100 == 0:
                print(f"{self.wanted.name}: {number} of {len(share)} pictures filled", flush=True)

    def measured(self, methods: Sequence[Method], judge: FeatureJudge, shown: int) -> SetResult:
        """Score the results method by method. Raises DataError when no pair could be read."""
        real = len(self.reference) or len(self.pairs)
        metrics = DownloadedMetrics(min(len(self.pairs), real), judge.device)
        unread: list[Skipped] = []
        reference = [judge.vector(picture) for picture in self._references(unread)]
        scores, skipped = [], [*self.unpaired, *unread]
        for method in methods:
            skipped = [*self.unpaired, *unread]
            rows = self._rows(method, judge, metrics, skipped)
            scores.append(self._score(method, rows, reference, metrics))
        grid = [
            grid_row(case, [self.results.result(case, method)[0] for method in methods])
            for case in self.cases(self.pairs[:shown], [])
        ]
        return SetResult(scores, skipped, grid, metrics.reasons)

    def _references(self, skipped: list[Skipped]) -> Iterator[Pixels]:
        """The pictures of the reference folder, whatever their size; those that can't be read go to `skipped`."""
        for path in self.reference:
            try:
                yield read_picture(path, "RGB")
            except BadPicture as error:
                skipped.append(Skipped(path.name, f"reference: {error}"))

    def _rows(
        self, method: Method, judge: FeatureJudge, metrics: DownloadedMetrics, skipped: list[Skipped]
    ) -> list[Measured]:
        """One method's rows; `metrics` see the same pictures."""
        metrics.reset()
        if metrics.metrics:
            for picture in self._references([]):
                metrics.add_reference(picture)
        rows = []
        for case in self.cases(self.pairs, skipped):
            result, seconds = self.results.result(case, method)
            rows.append(measure(case, result, seconds, judge))
            metrics.add_result(result, case.photo)
            if not self.reference:
                metrics.add_reference(case.photo)
        if not rows:
            raise DataError(f"{self.wanted.name}: no pair can be measured; the first: {skipped[0]}")
        return rows

    def _score(
        self,
        method: Method,
        rows: Sequence[Measured],
        reference: Sequence[Vector],
        metrics: DownloadedMetrics,
    ) -> SetScore:
        means, values = score(method, "all", rows, reference), metrics.compute()
        return SetScore(
            self.wanted.name,
            method.name,
            len(rows),
            method.forwards,
            values.get("FID"),
            values.get("KID"),
            values.get("LPIPS"),
            means.psnr,
            means.ssim,
            means.feature_distance,
            means.frechet,
            means.seconds,
        )


def benchmark(recipe: BenchmarkRecipe) -> list[SetScore]:
    """Fill and measure every set; writes scores.json, tables.md, skipped.tsv and a grid a set into the output folder.

    Raises DataError before anything starts when a folder of a set is missing or empty. Only the first process
    returns scores.
    """
    sets = [SetBenchmark(wanted, recipe.output / "results") for wanted in recipe.sets]
    has_gpu = torch.cuda.is_available()
    processes = PartialState(cpu=not has_gpu, timeout=WAIT_FOR_OTHERS)
    device = f"cuda:{processes.local_process_index}" if has_gpu else "cpu"
    methods = recipe.methods(device)
    for one in sets:
        one.fill(methods, processes.process_index, processes.num_processes)
    processes.wait_for_everyone()
    if not processes.is_main_process:
        return []
    judge = FeatureJudge(device)
    measured = [one.measured(methods, judge, recipe.grid) for one in sets]
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

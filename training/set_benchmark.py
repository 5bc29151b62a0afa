"""One set of a benchmark: its pairs are filled by every method, then measured method by method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.benchmark_tables import SetScore
from training.cases import Case
from training.downloaded_metrics import DownloadedMetrics
from training.errors import DataError
from training.grids import grid_row
from training.methods import Method
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


@dataclass(frozen=True)
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

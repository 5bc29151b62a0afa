"""Measures a served model on validation photographs against OpenCV's Telea and Navier-Stokes inpainting.

Holes are fixed by the seed: strokes, boxes and object shapes. Every method fills the same pixels; ours goes through
the service's own picture code, with growing and feathering off so that it may change nothing else.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from service.contracts import MAX_PIXELS, Params
from service.engine.base import Engine
from service.engine.inpaint import run
from service.engine.selection import open_engine
from service.imaging.retouch import finish, prepare
from service.settings import Settings
from training.features import EfficientNetFeatures, feature_distance
from training.masks import Mask, MaskSampler
from training.photos import Pixels, load_cutouts, load_photos
from training.samples import place_cutout

Fill = Callable[[Pixels, Mask], Pixels]
KINDS = ("strokes", "boxes", "object")
OPENCV_RADIUS = 5
# Stage whose pooled channels describe a picture for the Frechet distance: fewer channels than pictures.
FRECHET_STAGE = 2


@dataclass(frozen=True)
class EvaluationRecipe:
    """Settings of the evaluation (recipes/nano.yaml)."""

    photos: Path
    cutouts: Path
    output: Path
    store: Path
    model: str
    side: int = 256
    most: int = 0
    steps: int = 20
    guidance_scale: float = 2.0
    seed: int = 7
    # Photographs that the grid may show, by the start of their file names: those free of conditions.
    grid: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One photograph [s, s, 3] with one hole [s, s]; `name` is the photograph's file name."""

    name: str
    photo: Pixels
    hole: Mask
    kind: str


@dataclass(frozen=True)
class Score:
    """Means over the cases of one method; `feature_distance` and `frechet` are on EfficientNet-lite0 features."""

    method: str
    kind: str
    psnr: float
    ssim: float
    feature_distance: float
    frechet: float
    seconds: float


def hole_of(kind: str, side: int, cutouts: list[Pixels], rng: np.random.Generator) -> Mask:
    """A hole of one kind, at most half of the picture."""
    if kind == "object":
        shape: Mask = place_cutout(cutouts[int(rng.integers(len(cutouts)))], side, rng)[..., 3] > 64
        return shape
    return MaskSampler(side, box_probability=float(kind == "boxes")).draw(rng)


def evaluation_cases(recipe: EvaluationRecipe) -> list[Case]:
    """Every photograph once with each kind of hole, the same on every run."""
    cutouts = load_cutouts(recipe.cutouts)
    names = [path.name for path in sorted(recipe.photos.glob("*.jpg"))][: recipe.most or None]
    cases = []
    for index, (name, photo) in enumerate(zip(names, load_photos(recipe.photos), strict=False)):
        square = Image.fromarray(photo).resize((recipe.side, recipe.side), Image.Resampling.BOX)
        for number, kind in enumerate(KINDS):
            rng = np.random.default_rng((recipe.seed, index, number))
            cases.append(Case(name, np.asarray(square), hole_of(kind, recipe.side, cutouts, rng), kind))
    return cases


def is_shown(recipe: EvaluationRecipe, case: Case) -> bool:
    """One kind of hole for each photograph of the grid, the kinds taking turns."""
    for position, start in enumerate(recipe.grid):
        if case.name.startswith(start):
            return case.kind == KINDS[position % len(KINDS)]
    return False


def opencv_fill(method: int) -> Fill:
    """Telea's (cv2.INPAINT_TELEA) or the Navier-Stokes (cv2.INPAINT_NS) method."""

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), OPENCV_RADIUS, method))

    return fill


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def served_fill(engine: Engine, params: Params) -> Fill:
    """Our model, through the pictures' code that the worker uses."""

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        retouch = prepare(
            _png(photo),
            _png(hole.astype(np.uint8) * 255),
            params,
            model_size=engine.info.image_size,
            max_pixels=MAX_PIXELS,
        )
        fills = run(engine, retouch.tiles, params).fills[0]
        with Image.open(io.BytesIO(finish(retouch, fills, params).data)) as picture:
            return np.asarray(picture.convert("RGB"))

    return fill


def psnr_in_hole(result: Pixels, photo: Pixels, hole: Mask) -> float:
    """Peak signal-to-noise ratio over the hole's pixels, dB."""
    error = (result[hole].astype(np.float64) - photo[hole].astype(np.float64)) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-6)))


def ssim_in_hole(result: Pixels, photo: Pixels, hole: Mask) -> float:
    """Structural similarity, its map averaged over the hole."""
    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        result, photo, channel_axis=2, full=True
    )
    return float(similarity[hole].mean())


class FeatureJudge:
    """Paired and Frechet distances on the features of a classifier."""

    def __init__(self) -> None:
        self.network = EfficientNetFeatures(5)

    @torch.inference_mode()
    def maps(self, pixels: Pixels) -> list[torch.Tensor]:
        """Feature maps of one picture."""
        image = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1.0).permute(2, 0, 1)[None]
        maps: list[torch.Tensor] = self.network(image)
        return maps


def pooled(maps: list[torch.Tensor]) -> npt.NDArray[np.float64]:
    """Mean of one stage over positions: the picture's vector for the Frechet distance."""
    return np.asarray(maps[FRECHET_STAGE][0].mean((1, 2)).numpy(), np.float64)


def frechet_distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Frechet distance of two sets of vectors [N, C], each taken as a Gaussian; times 1000 to be readable."""
    covariance = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    mixed = np.real(sqrtm(covariance[0] @ covariance[1]))
    means = np.sum((one.mean(0) - other.mean(0)) ** 2)
    return float(1000 * (means + np.trace(covariance[0] + covariance[1] - 2 * mixed)))


@dataclass(frozen=True)
class Measured:
    """One method on one case."""

    kind: str
    psnr: float
    ssim: float
    distance: float
    vector: npt.NDArray[np.float64]
    true_vector: npt.NDArray[np.float64]
    seconds: float


def measure(case: Case, fill: Fill, judge: FeatureJudge) -> tuple[Measured, Pixels]:
    """Fill one case and compare the result with the photograph."""
    started = time.perf_counter()
    result = fill(case.photo, case.hole)
    seconds = time.perf_counter() - started
    maps, true_maps = judge.maps(result), judge.maps(case.photo)
    measured = Measured(
        case.kind,
        psnr_in_hole(result, case.photo, case.hole),
        ssim_in_hole(result, case.photo, case.hole),
        float(feature_distance(maps, true_maps)[0]),
        pooled(maps),
        pooled(true_maps),
        seconds,
    )
    return measured, result


def score(method: str, kind: str, rows: list[Measured]) -> Score:
    """Means of one method over one kind of hole, or over "all"."""
    chosen = [row for row in rows if kind in ("all", row.kind)]
    return Score(
        method,
        kind,
        float(np.mean([row.psnr for row in chosen])),
        float(np.mean([row.ssim for row in chosen])),
        float(np.mean([row.distance for row in chosen])),
        frechet_distance(
            np.stack([row.vector for row in chosen]), np.stack([row.true_vector for row in chosen])
        ),
        float(np.median([row.seconds for row in chosen])),
    )


def grid_row(case: Case, results: list[Pixels]) -> Pixels:
    """Photograph, hole in white, then every method's result, side by side."""
    holed = np.where(case.hole[..., None], np.uint8(255), case.photo)
    return np.concatenate([case.photo, holed, *results], axis=1)


def methods_of(recipe: EvaluationRecipe) -> dict[str, Fill]:
    """Telea, Navier-Stokes and the model of the store, by name."""
    engine = open_engine(Settings(model_store=recipe.store, model=recipe.model))
    engine.warmup()
    params = Params(
        seed=recipe.seed, steps=recipe.steps, guidance_scale=recipe.guidance_scale, dilate=0, feather=0
    )
    return {
        "Telea": opencv_fill(cv2.INPAINT_TELEA),
        "Navier-Stokes": opencv_fill(cv2.INPAINT_NS),
        recipe.model: served_fill(engine, params),
    }


def evaluate(recipe: EvaluationRecipe) -> list[Score]:
    """Score every method; writes scores.json and grid.png into the output folder."""
    methods, judge = methods_of(recipe), FeatureJudge()
    rows: dict[str, list[Measured]] = {name: [] for name in methods}
    shown: list[Pixels] = []
    for number, case in enumerate(evaluation_cases(recipe)):
        measured = {name: measure(case, fill, judge) for name, fill in methods.items()}
        for name, (row, _) in measured.items():
            rows[name].append(row)
        if number % 16 == 15:
            print(f"{number + 1} cases measured", flush=True)
        if is_shown(recipe, case):
            shown.append(grid_row(case, [result for _, result in measured.values()]))
    scores = [score(name, kind, rows[name]) for kind in ("all", *KINDS) for name in methods]
    recipe.output.mkdir(parents=True, exist_ok=True)
    (recipe.output / "scores.json").write_text(json.dumps([asdict(row) for row in scores], indent=1))
    if shown:
        Image.fromarray(np.concatenate(shown)).save(recipe.output / "grid.png")
    return scores

"""How far a filled picture is from the true one: case by case, and over a set of cases.

Feature distances are on EfficientNet-lite0 and need no download. FID, KID and LPIPS are in downloaded_metrics.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from training.cases import Case
from training.features import EfficientNetFeatures, feature_distance
from training.masks import Mask
from training.methods import Method
from training.photos import Pixels

Vector = npt.NDArray[np.float64]
# Stage whose pooled channels describe a picture for the Frechet distance: fewer channels than pictures.
FRECHET_STAGE = 2


@dataclass(frozen=True)
class Score:
    """Means over the cases of one method; `feature_distance` and `frechet` are on EfficientNet-lite0 features.

    `frechet` is None where there are no more cases than channels. `forwards` are network evaluations
    a crop, `seconds` the median.
    """

    method: str
    kind: str
    psnr: float
    ssim: float
    feature_distance: float
    frechet: float | None
    forwards: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    """One method on one case; the vectors are those of the Frechet distance."""

    kind: str
    psnr: float
    ssim: float
    distance: float
    vector: Vector
    true_vector: Vector
    seconds: float


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
    """Feature maps of pictures by a frozen classifier, on any device."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.network = EfficientNetFeatures(5).to(device)

    @torch.inference_mode()
    def maps(self, pixels: Pixels) -> list[torch.Tensor]:
        """One map [1, C_i, H_i, W_i] a stage, on the CPU."""
        image = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1.0).permute(2, 0, 1)[None]
        return [stage.cpu() for stage in self.network(image.to(self.device))]

    def vector(self, pixels: Pixels) -> Vector:
        """The picture's vector for the Frechet distance."""
        return pooled(self.maps(pixels))


def pooled(maps: list[torch.Tensor]) -> Vector:
    """Mean of one stage over positions: the picture's vector for the Frechet distance."""
    return np.asarray(maps[FRECHET_STAGE][0].mean((1, 2)).numpy(), np.float64)


def frechet_distance(one: Vector, other: Vector) -> float:
    """Frechet distance of two sets of vectors [N, C], each taken as a Gaussian; times 1000 to be readable."""
    covariance = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    mixed = np.real(sqrtm(covariance[0] @ covariance[1]))
    means = np.sum((one.mean(0) - other.mean(0)) ** 2)
    return float(1000 * (means + np.trace(covariance[0] + covariance[1] - 2 * mixed)))


def measure(case: Case, result: Pixels, seconds: float, judge: FeatureJudge) -> Measured:
    """Compare what a method made of a case with the photograph."""
    maps, true_maps = judge.maps(result), judge.maps(case.photo)
    return Measured(
        case.kind,
        psnr_in_hole(result, case.photo, case.hole),
        ssim_in_hole(result, case.photo, case.hole),
        float(feature_distance(maps, true_maps)[0]),
        pooled(maps),
        pooled(true_maps),
        seconds,
    )


def score(method: Method, kind: str, rows: Sequence[Measured], reference: Sequence[Vector] = ()) -> Score:
    """Means of one method over one kind of hole, or over "all". The Frechet distance is to the vectors of
    `reference`, or to those of the cases' own photographs where there are none.
    """
    chosen = [row for row in rows if kind in ("all", row.kind)]
    true_vectors = reference or [row.true_vector for row in chosen]
    vectors = [row.vector for row in chosen]
    enough = min(len(vectors), len(true_vectors)) > len(vectors[0])
    return Score(
        method.name,
        kind,
        float(np.mean([row.psnr for row in chosen])),
        float(np.mean([row.ssim for row in chosen])),
        float(np.mean([row.distance for row in chosen])),
        frechet_distance(np.stack(vectors), np.stack(true_vectors)) if enough else None,
        method.forwards,
        float(np.median([row.seconds for row in chosen])),
    )

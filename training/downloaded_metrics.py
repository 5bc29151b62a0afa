"""FID, KID and LPIPS by torchmetrics. Their networks are downloaded when they are first used, and need the packages
torch-fidelity and torchvision: a metric that can't be had is left out, with the reason.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torchmetrics import Metric

from training.photos import Pixels

METRICS = ("FID", "KID", "LPIPS")
LARGEST_SUBSET = 1000  # pictures of one draw of KID, torchmetrics' own number
SEED = 0
# What a missing package, a failed download and a damaged file raise.
MISSING = (ImportError, OSError, RuntimeError, ValueError)

Factory = Callable[[int], Metric]


def frechet_inception_distance(_pictures: int) -> Metric:
    """FID, on Inception's 2048 features."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    return FrechetInceptionDistance()


def kernel_inception_distance(pictures: int) -> Metric:
    """KID; subsets of 1000 pictures, or of all where there are fewer."""
    from torchmetrics.image.kid import KernelInceptionDistance

    return KernelInceptionDistance(subset_size=min(LARGEST_SUBSET, pictures))


def perceptual_similarity(_pictures: int) -> Metric:
    """LPIPS on AlexNet, of whole pictures in [0, 1]."""
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity("alex", normalize=True)


FACTORIES: Mapping[str, Factory] = {
    "FID": frechet_inception_distance,
    "KID": kernel_inception_distance,
    "LPIPS": perceptual_similarity,
}


def _batch(picture: Pixels, device: str) -> Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].to(device)  # uint8 [1, 3, h, w]


class DownloadedMetrics:
    """Those of FID, KID and LPIPS that can be had, over one set of at least `pictures` pictures.

    `reasons` says why each of the others can't be had.
    """

    def __init__(
        self, pictures: int, device: str = "cpu", factories: Mapping[str, Factory] = FACTORIES
    ) -> None:
        self.device = device
        self.metrics: dict[str, Metric] = {}
        self.reasons: dict[str, str] = {}
        for name, factory in factories.items():
            try:
                self.metrics[name] = _made(factory, pictures).to(device)
            except MISSING as error:
                self.reasons[name] = _said(error)

    def reset(self) -> None:
        """Forget every picture: the next method."""
        for metric in self.metrics.values():
            metric.reset()

    @torch.inference_mode()
    def add_reference(self, picture: Pixels) -> None:
        """One picture [h, w, 3] of the true set."""
        for name, metric in self.metrics.items():
            if name != "LPIPS":
                metric.update(_batch(picture, self.device), real=True)

    @torch.inference_mode()
    def add_result(self, result: Pixels, photo: Pixels) -> None:
        """What a method made, and the photograph that it should be."""
        made = _batch(result, self.device)
        for name, metric in self.metrics.items():
            if name == "LPIPS":
                metric.update(made / 255, _batch(photo, self.device) / 255)
            else:
                metric.update(made, real=False)

    def compute(self) -> dict[str, float]:
        """Every metric that can be had, by name. KID draws its subsets from a fixed seed."""
        values: dict[str, float] = {}
        for name, metric in self.metrics.items():
            with torch.random.fork_rng():
                torch.manual_seed(SEED)
                try:
                    value = metric.compute()
                except MISSING as error:  # too few pictures
                    self.reasons[name] = _said(error)
                    continue
            values[name] = float(value[0] if isinstance(value, tuple) else value)
        return values


def _made(factory: Factory, pictures: int) -> Metric:
    with warnings.catch_warnings():
        # KID keeps 8 KiB of features a picture, which is no trouble: 600 MB for Places2's 36,500 and their fills.
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save")
        return factory(pictures)


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

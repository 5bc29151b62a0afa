"""FID, KID and LPIPS: those that can be had are computed, the others are said."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from tests.training.evaluation_data import photo
from training.downloaded_metrics import FACTORIES, DownloadedMetrics, Factory


class MeanColours(nn.Module):
    """A network of three features."""

    num_features = 3

    def forward(self, images: Tensor) -> Tensor:
        return images.float().mean((2, 3)) / 255


class MeanDistance(Metric):
    """A stand-in of LPIPS with its arguments: two batches in [0, 1]."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, one: Tensor, other: Tensor) -> None:
        assert 0 <= float(one.min()) <= float(one.max()) <= 1
        self.total += (one - other).abs().mean()

    def compute(self) -> Tensor:
        return self.total


def unavailable(_pictures: int) -> Metric:
    raise OSError("the network\ncan't be reached")


SMALL: Mapping[str, Factory] = {
    "FID": lambda _: FrechetInceptionDistance(feature=MeanColours()),
    "KID": lambda pictures: KernelInceptionDistance(feature=MeanColours(), subset_size=pictures - 2),
    "LPIPS": lambda _: MeanDistance(),
}


def computed(metrics: DownloadedMetrics, *, worse: bool, seed_before: int = 0) -> dict[str, float]:
    torch.manual_seed(seed_before)
    metrics.reset()
    for seed in range(8):
        metrics.add_reference(photo(seed))
        metrics.add_result(photo(seed) // 2 if worse else photo(seed), photo(seed))
    return metrics.compute()


def test_a_worse_method_has_more_of_each_and_the_same_on_every_run() -> None:
    metrics = DownloadedMetrics(8, factories=SMALL)
    perfect, worse = computed(metrics, worse=False), computed(metrics, worse=True)
    assert set(perfect) == {"FID", "KID", "LPIPS"}
    assert perfect["FID"] == pytest.approx(0, abs=1e-6)
    assert perfect["LPIPS"] == 0
    assert all(worse[name] > perfect[name] + 0.01 for name in worse)
    assert computed(metrics, worse=True, seed_before=1) == worse


def test_a_metric_that_can_not_be_had_is_left_out_and_its_reason_said() -> None:
    metrics = DownloadedMetrics(8, factories={**SMALL, "FID": unavailable})
    assert set(computed(metrics, worse=True)) == {"KID", "LPIPS"}
    assert metrics.reasons == {"FID": "the network can't be reached"}


def test_too_few_pictures_for_a_metric_are_said() -> None:
    metrics = DownloadedMetrics(1, factories={"FID": SMALL["FID"]})
    metrics.add_reference(photo(0))
    metrics.add_result(photo(0), photo(0))
    assert metrics.compute() == {}
    assert "More than one sample" in metrics.reasons["FID"]


def test_every_metric_of_the_tables_is_either_there_or_explained() -> None:
    metrics = DownloadedMetrics(8)
    assert set(metrics.metrics) | set(metrics.reasons) == set(FACTORIES) == {"FID", "KID", "LPIPS"}
    assert all(metrics.reasons.values())

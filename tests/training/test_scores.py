"""The measures of the model card."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from tests.training.evaluation_data import photo
from training.cases import Case
from training.features import EfficientNetFeatures
from training.methods import Method
from training.scores import (
    FRECHET_STAGE,
    FeatureJudge,
    Measured,
    frechet_distance,
    measure,
    psnr_in_hole,
    score,
    ssim_in_hole,
)

HOLE = np.zeros((64, 64), np.bool_)
HOLE[20:40, 20:40] = True
NOTHING = Method("nothing", lambda pixels, hole: pixels, "nothing", 3)


def test_psnr_counts_the_hole_only() -> None:
    true = np.clip(photo(0), 0, 240)
    changed = true.copy()
    changed[HOLE] += 10
    assert psnr_in_hole(changed, true, HOLE) == pytest.approx(20 * np.log10(255 / 10))
    changed[~HOLE] = 0
    assert psnr_in_hole(changed, true, HOLE) == pytest.approx(20 * np.log10(255 / 10))


def test_ssim_is_one_for_the_photograph_itself() -> None:
    true = photo(0)
    changed = true.copy()
    changed[HOLE] = 128
    assert ssim_in_hole(true, true, HOLE) == pytest.approx(1)
    assert ssim_in_hole(changed, true, HOLE) < 0.5


def test_frechet_distance_is_zero_for_the_same_set_and_counts_a_shift() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((200, 5))
    assert frechet_distance(vectors, vectors) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(vectors, vectors + 2) == pytest.approx(1000 * 5 * 4, rel=1e-3)


class PooledFeatures(nn.Module):
    """The Frechet distance's vectors as a network of torchmetrics: uint8 [N, 3, H, W] -> [N, num_features]."""

    num_features = 40

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetFeatures(FRECHET_STAGE + 1)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network(images.float() / 127.5 - 1)[FRECHET_STAGE]
        return maps.mean((2, 3))


def test_the_frechet_distance_is_that_of_torchmetrics_on_the_same_features() -> None:
    true = [photo(seed, 32) for seed in range(50)]
    made = [photo(100 + seed, 32) // 2 + 40 for seed in range(45)]
    judge = FeatureJudge()
    ours = frechet_distance(
        np.stack([judge.vector(one) for one in made]), np.stack([judge.vector(one) for one in true])
    )
    theirs = FrechetInceptionDistance(feature=PooledFeatures())
    for pictures, real in ((true, True), (made, False)):
        theirs.update(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), real=real)
    assert ours > 1
    assert ours == pytest.approx(1000 * float(theirs.compute()), rel=1e-3)


def test_a_perfect_fill_scores_no_distance_and_a_grey_one_does() -> None:
    judge, case = FeatureJudge(), Case("a", photo(0), HOLE, "boxes")
    grey = np.where(HOLE[..., None], np.uint8(128), case.photo)
    assert measure(case, case.photo, 1.0, judge).distance == 0
    assert measure(case, grey, 1.0, judge).distance > 0.01


def row(kind: str, psnr: float, seconds: float, vector: tuple[float, float] = (0, 0)) -> Measured:
    true = np.array(vector, np.float64)
    return Measured(kind, psnr, 0.5, 0.1, true + np.array([0, 1]), true, seconds)


CORNERS = [row("boxes", 10, 1, (0, 0)), row("boxes", 20, 5, (0, 1)), row("boxes", 30, 9, (1, 0))]


def test_a_score_is_the_mean_over_the_cases_of_its_kind() -> None:
    rows = [*CORNERS, row("strokes", 60, 90)]
    boxes = score(NOTHING, "boxes", rows)
    assert (boxes.method, boxes.psnr, boxes.seconds, boxes.forwards) == ("nothing", 20, 5, 3)
    assert boxes.frechet == pytest.approx(1000, rel=1e-3)
    assert score(NOTHING, "all", rows).psnr == 30


def test_as_few_cases_as_channels_have_no_frechet_distance() -> None:
    assert score(NOTHING, "boxes", CORNERS[:2]).frechet is None


def test_the_frechet_distance_is_to_the_reference_where_there_is_one() -> None:
    reference = [measured.vector for measured in CORNERS]
    assert score(NOTHING, "all", CORNERS, reference).frechet == pytest.approx(0, abs=1e-3)

"""The pretrained features that judge pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.features import EfficientNetFeatures, feature_distance


@pytest.fixture(scope="module")
def features() -> EfficientNetFeatures:
    return EfficientNetFeatures(5)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Smooth pictures [2, 3, 64, 64] in [-1, 1]."""
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=64, mode="bilinear")


def test_maps_halve_from_stage_to_stage_and_have_unit_vectors(
    features: EfficientNetFeatures, pictures: Tensor
) -> None:
    maps = features(pictures)
    assert [tuple(stage.shape[2:]) for stage in maps] == [(side, side) for side in (32, 16, 8, 4, 2)]
    for stage in maps:
        lengths = stage.square().sum(1)
        assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-3)


def test_distance_is_zero_to_itself_and_grows_with_the_damage(
    features: EfficientNetFeatures, pictures: Tensor
) -> None:
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(1))
    distances = [
        feature_distance(features(pictures + level * noise), features(pictures)) for level in (0, 0.1, 0.5)
    ]
    assert distances[0].tolist() == [0, 0]
    assert (distances[0] < distances[1]).all()
    assert (distances[1] < distances[2]).all()


def test_the_judge_stays_frozen_when_the_network_around_it_trains(
    features: EfficientNetFeatures, pictures: Tensor
) -> None:
    before = [stage.clone() for stage in features(pictures)]
    features.train()
    after = features(pictures)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not any(parameter.requires_grad for parameter in features.parameters())

"""Perceptual losses: features of decoded crops, and which loss a recipe gets."""

from __future__ import annotations

import pytest
import torch

from service.model.nano_autoencoder import NanoAutoencoder
from tests.small_model import AUTOENCODER
from training.errors import RecipeError
from training.perceptual import DecodedFeatures, PerceptualRecipe, crop_corner, open_perceptual_loss


def loss() -> DecodedFeatures:
    torch.manual_seed(0)
    return DecodedFeatures(NanoAutoencoder(AUTOENCODER), stages=2, crop=4)


def hole(top: int, left: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., top : top + 2, left : left + 2] = 1
    return mask


def test_equal_latents_have_no_distance_and_others_have_one() -> None:
    distance = loss()
    latents = torch.randn(1, 4, 8, 8)
    assert distance(latents, latents, hole(3, 3)).item() == pytest.approx(0, abs=1e-6)
    assert distance(latents + 1, latents, hole(3, 3)) > 1e-4


def test_the_gradient_reaches_the_prediction_and_no_weight() -> None:
    distance = loss()
    predicted = torch.randn(1, 4, 8, 8, requires_grad=True)
    distance(predicted, torch.randn(1, 4, 8, 8), hole(3, 3)).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_what_lies_outside_of_the_crop_does_not_count() -> None:
    distance = loss()
    latents, changed = torch.randn(2, 1, 4, 8, 8).unbind()
    changed = latents.clone()
    changed[..., 6:, 6:] += 5
    assert distance(changed, latents, hole(0, 0)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("top", "left", "corner"), [(3, 3, (2, 2)), (0, 0, (0, 0)), (6, 6, (4, 4)), (0, 3, (0, 2))]
)
def test_the_crop_is_about_the_hole_and_inside_of_the_map(
    top: int, left: int, corner: tuple[int, int]
) -> None:
    assert crop_corner(hole(top, left)[0, 0], 4) == corner


def test_without_a_hole_the_crop_is_in_the_middle() -> None:
    assert crop_corner(torch.zeros(8, 8), 4) == (2, 2)


def test_the_log_says_why_the_best_loss_is_not_used() -> None:
    said: list[str] = []
    found = open_perceptual_loss(
        PerceptualRecipe(perceptual_stages=1), NanoAutoencoder(AUTOENCODER), log=said.append
    )
    assert isinstance(found, DecodedFeatures)
    assert "pip install" in said[0]
    assert "decoded crops" in said[1]


def test_no_loss_is_said_too() -> None:
    said: list[str] = []
    assert open_perceptual_loss(PerceptualRecipe(), None, log=said.append) is None
    assert open_perceptual_loss(PerceptualRecipe(perceptual="none"), None, log=said.append) is None
    assert said[1:] == ["perceptual loss: none, as the recipe names no autoencoder", "perceptual loss: none"]


def test_a_loss_that_the_recipe_insists_on_and_that_can_not_be_had_is_an_error() -> None:
    with pytest.raises(RecipeError, match="pip install"):
        open_perceptual_loss(PerceptualRecipe(perceptual="e-latent-lpips"), None, log=print)
    with pytest.raises(RecipeError, match="autoencoder"):
        open_perceptual_loss(PerceptualRecipe(perceptual="features"), None, log=print)

"""The Stable-Diffusion autoencoder's contract."""

from __future__ import annotations

import pytest
import torch

from service.model.config import AutoencoderKLConfig
from service.model.vae import AutoencoderKL


@pytest.fixture(scope="module")
def network() -> AutoencoderKL:
    return AutoencoderKL(AutoencoderKLConfig(channels=(32, 32, 64), layers_per_level=1)).eval()


def test_sides_shrink_and_grow_by_the_downscale(network: AutoencoderKL) -> None:
    latents = network.encode(torch.zeros(1, 3, 24, 32))
    assert latents.shape == (1, 4, 6, 8)
    assert network.decode(latents).shape == (1, 3, 24, 32)


def test_the_same_picture_always_has_the_same_latents(network: AutoencoderKL) -> None:
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(network.encode(images), network.encode(images))


@pytest.mark.parametrize("shape", [(1, 3, 18, 16), (1, 4, 16, 16), (3, 16, 16), (16,)])
def test_pictures_of_an_impossible_shape_are_refused(network: AutoencoderKL, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\] .* multiples of 4, got"):
        network.encode(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (4, 4, 4)])
def test_latents_of_an_impossible_shape_are_refused(network: AutoencoderKL, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"latents must be \[B, 4, h, w\], got"):
        network.decode(torch.zeros(shape))

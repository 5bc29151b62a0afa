"""An autoencoder in half precision tells the same pictures: artefacts would show in the mean or in the worst pixel."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from service.artifacts import VAE_WEIGHTS, load_manifest
from service.model.autoencoder import Autoencoder
from service.model.checkpoint import load_strictly, read_state
from service.model.config import AutoencoderKLConfig
from service.model.half_autoencoder import HALF, LAYERS, HalfAutoencoder, in_half_precision
from service.model.registry import build_autoencoder
from service.model.vae import AutoencoderKL

ROOT = Path(__file__).resolve().parents[3]
GREY_LEVELS = 127.5  # of pictures in [-1, 1]
MEAN, WORST = 0.25, 1.0  # grey levels; 2 are allowed in the mean
SIDE = 128


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def built_in() -> Autoencoder:
    folder = ROOT / "model_store" / "moebius-nano"
    autoencoder = build_autoencoder(load_manifest(folder).config["autoencoder"])
    load_strictly(autoencoder, read_state(folder / VAE_WEIGHTS))
    return autoencoder.requires_grad_(requires_grad=False).eval()


@pytest.fixture(scope="module")
def published_kind() -> Autoencoder:
    """The published architecture, narrower, with random weights; its pictures spread as photographs do."""
    torch.manual_seed(0)
    autoencoder = AutoencoderKL(AutoencoderKLConfig(channels=(32, 32, 64, 64))).eval()
    with torch.inference_mode():
        spread = autoencoder.decode(torch.randn(1, 4, 8, 8)).std()
        autoencoder.decoder.conv_out.weight.div_(2 * spread)
    return autoencoder


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """[N, 3, s, s] in [-1, 1]."""
    with Image.open(ROOT / "examples" / "seabed.jpg") as photo:
        pixels = np.asarray(photo.convert("RGB"), np.float32) / GREY_LEVELS - 1
    corners = [(top, left) for top in (0, SIDE, 2 * SIDE) for left in (0, SIDE)]
    crops = [pixels[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1) for top, left in corners]
    return torch.from_numpy(np.stack(crops))


def difference(half: Tensor, full: Tensor) -> tuple[float, float]:
    """Mean and worst, in grey levels."""
    levels = (half.clamp(-1, 1) - full.clamp(-1, 1)).abs() * GREY_LEVELS
    return levels.mean().item(), levels.max().item()


def test_photographs_keep_every_grey_level_through_the_built_in_model(
    built_in: Autoencoder, photographs: Tensor
) -> None:
    half = in_half_precision(built_in)
    full = built_in.decode(built_in.encode(photographs))
    mean, worst = difference(half.decode(half.encode(photographs)), full)
    assert mean <= MEAN
    assert worst <= WORST


def test_latents_are_decoded_alike_by_the_published_architecture(published_kind: Autoencoder) -> None:
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    full = published_kind.decode(latents)
    assert full.std() > 0.2
    mean, worst = difference(in_half_precision(published_kind).decode(latents), full)
    assert mean <= MEAN
    assert worst <= 3 * WORST, "random weights pass every rounding on"


def test_photographs_are_encoded_alike_by_the_published_architecture(
    published_kind: Autoencoder, photographs: Tensor
) -> None:
    full = published_kind.encode(photographs[:1])
    half = in_half_precision(published_kind).encode(photographs[:1])
    assert (half - full).abs().mean() < 0.005 * full.std()


@pytest.mark.parametrize("name", ["built_in", "published_kind"])
def test_only_the_ends_stay_in_full_precision(name: str, request: pytest.FixtureRequest) -> None:
    autoencoder: Autoencoder = request.getfixturevalue(name)
    before = copy.deepcopy(autoencoder.state_dict())
    half = in_half_precision(autoencoder)
    ends = {*half.first_layers, *half.last_layers}
    layers = [layer for layer in half.modules() if isinstance(layer, LAYERS)]
    for layer in layers:
        dtypes = {parameter.dtype for parameter in layer.parameters()}
        assert dtypes <= {torch.float32 if layer in ends else HALF}
    assert ends < set(layers)
    assert half.decode(torch.zeros(1, 4, 8, 8)).dtype == torch.float32
    assert all(torch.equal(value, before[key]) for key, value in autoencoder.state_dict().items())


def test_maps_between_the_ends_take_half_the_memory(published_kind: Autoencoder) -> None:
    half = in_half_precision(published_kind)
    seen: list[torch.dtype] = []
    assert isinstance(half, AutoencoderKL)
    blocks: list[nn.Module] = [*half.encoder.down_blocks, *half.decoder.up_blocks]
    for block in blocks:
        block.register_forward_hook(lambda _block, _inputs, output: seen.append(output.dtype))
    half.decode(half.encode(torch.zeros(1, 3, 64, 64)))
    assert seen == [HALF] * len(blocks)


def test_a_call_that_overflows_is_answered_in_full_precision_and_no_other(
    built_in: Autoencoder, photographs: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    both = HalfAutoencoder(built_in)
    latents = built_in.encode(photographs[:1])
    assert torch.equal(both.decode(latents), both.in_fp16.decode(latents))
    assert not caplog.records
    assert torch.equal(both.decode(1e5 * latents), built_in.decode(1e5 * latents))
    assert len(caplog.records) == 1


def test_what_is_not_finite_itself_is_not_tried_again(
    built_in: Autoencoder, caplog: pytest.LogCaptureFixture
) -> None:
    assert HalfAutoencoder(built_in).decode(torch.full((1, 4, 8, 8), float("nan"))).isnan().all()
    assert not caplog.records

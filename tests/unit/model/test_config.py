"""Configurations: what is refused, and their JSON form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.model.config import FULL, NANO, TINY, AutoencoderKLConfig, UNetConfig
from service.model.diffusers_config import autoencoder_config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("in_channels", 0),
        ("out_channels", -4),
        ("sample_size", 30),
        ("sample_size", 64.0),
        ("channels", (320,)),
        ("channels", (320, 0, 1280)),
        ("channels", "320"),
        ("layers_per_level", True),
        ("heads", 7),
        ("token_count", 0),
        ("ffn_ratio", float("nan")),
        ("ffn_ratio", 0.001),
        ("position_kernel", 14),
        ("norm_groups", 48),
    ],
)
def test_an_impossible_unet_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} must be .*, got "):
        UNetConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("channels", ()), ("norm_groups", 24), ("scaling_factor", 0), ("latent_channels", "4")],
)
def test_an_impossible_autoencoder_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} must be .*, got "):
        AutoencoderKLConfig(**{field: value})


@pytest.mark.parametrize("config", [FULL, TINY, NANO], ids=["full", "tiny", "nano"])
def test_a_unet_configuration_comes_back_from_json(config: UNetConfig) -> None:
    assert UNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_autoencoder_configuration_comes_back_from_json() -> None:
    config = AutoencoderKLConfig(channels=(32, 64), scaling_factor=0.13025)
    assert AutoencoderKLConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown UNetConfig field\(s\) \['head'\]; known: .*'heads'"):
        UNetConfig.from_dict({"head": 8})


def test_sides_and_widths_follow_from_the_configuration() -> None:
    assert [FULL.side(level) for level in range(3)] == [64, 32, 16]
    assert FULL.time_width == 1280
    assert FULL.hidden(320) == 800
    assert AutoencoderKLConfig().downscale == 8


def test_a_diffusers_configuration_is_translated() -> None:
    values = {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": "0.6.0",
        "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "sample_size": 256,
        "force_upcast": True,
        "shift_factor": None,
    }
    assert autoencoder_config(values) == AutoencoderKLConfig()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("act_fn", "gelu"),
        ("use_quant_conv", False),
        ("shift_factor", 0.1),
        ("down_block_types", ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]),
        ("temporal_compression", 4),
    ],
)
def test_a_diffusers_autoencoder_that_ours_is_not_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        autoencoder_config({field: value})

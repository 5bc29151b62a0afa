"""Reads the `config.json` that diffusers writes beside an `AutoencoderKL`; refuses what ours is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.model.config import AutoencoderKLConfig

_FIELDS = {
    "block_out_channels": "channels",
    "layers_per_block": "layers_per_level",
    "latent_channels": "latent_channels",
    "norm_num_groups": "norm_groups",
    "scaling_factor": "scaling_factor",
}
_FIXED: dict[str, Any] = {
    "act_fn": "silu",
    "in_channels": 3,
    "out_channels": 3,
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
_BLOCK_TYPES = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}
_WITHOUT_EFFECT = ("sample_size", "force_upcast")


def autoencoder_config(values: Mapping[str, Any]) -> AutoencoderKLConfig:
    """Translate; fields left out take Stable Diffusion's values. `ValueError` names what is unsupported."""
    translated = {}
    for name, value in values.items():
        if name in _FIELDS:
            translated[_FIELDS[name]] = value
        elif name in _FIXED:
            _require(name, value, value == _FIXED[name], repr(_FIXED[name]))
        elif name in _BLOCK_TYPES:
            _require(name, value, set(value) == {_BLOCK_TYPES[name]}, f"all {_BLOCK_TYPES[name]}")
        elif not name.startswith("_") and name not in _WITHOUT_EFFECT:
            raise ValueError(f"unknown autoencoder field {name!r} in config.json")
    return AutoencoderKLConfig.from_dict(translated)


def _require(name: str, value: object, condition: bool, supported: str) -> None:
    if not condition:
        raise ValueError(f"{name} in config.json must be {supported}, got {value!r}")

"""Frozen architecture descriptions of the published networks, their presets and their JSON form.

Owns what may be said about a shape, not how a layer computes. A value that no network can have raises
`ValueError` naming the field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class JsonConfig:
    """A frozen configuration with a JSON form: tuples are written as lists."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a configuration; missing fields take their defaults. `ValueError` names any unknown key."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown {cls.__name__} field(s) {unknown}; known: {sorted(known)}")
        arguments = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**arguments)

    def _require(self, field: str, condition: bool, allowed: str) -> None:
        if not condition:
            raise ValueError(f"{field} must be {allowed}, got {getattr(self, field)!r}")

    def _require_counts(self, *fields: str) -> None:
        for field in fields:
            self._require(field, _is_count(getattr(self, field)), "a positive whole number")

    def _require_number(self, field: str) -> None:
        value = getattr(self, field)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        self._require(field, is_number and 0 < value < float("inf"), "a positive finite number")

    def _require_channels(self, channels: tuple[int, ...], minimum_levels: int) -> None:
        valid = isinstance(channels, tuple) and len(channels) >= minimum_levels
        valid = valid and all(_is_count(width) for width in channels)
        self._require("channels", valid, f"a list of at least {minimum_levels} positive whole numbers")

    def _require_divisor(self, field: str, channels: tuple[int, ...]) -> None:
        divides = all(width % getattr(self, field) == 0 for width in channels)
        self._require(field, divides, f"a divisor of every one of channels {list(channels)}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True)
class UNetConfig(JsonConfig):
    """Shape of a Moebius U-Net (arXiv 2606.19195); the defaults are the published network.

    `sample_size` is the side of the square latent map, `token_count` the size of the embedding table and
    `tokens_per_prompt` how many of its rows condition one sample.
    """

    in_channels: int = 9
    out_channels: int = 4
    sample_size: int = 64
    channels: tuple[int, ...] = (320, 640, 1280)
    layers_per_level: int = 2
    heads: int = 8
    token_count: int = 20
    tokens_per_prompt: int = 10
    token_width: int = 3072
    cross_width: int = 768
    ffn_ratio: float = 2.5
    position_kernel: int = 15
    norm_groups: int = 32

    def __post_init__(self) -> None:
        self._require_counts("in_channels", "out_channels", "sample_size", "layers_per_level", "heads")
        self._require_counts("token_count", "tokens_per_prompt", "token_width", "cross_width")
        self._require_counts("position_kernel", "norm_groups")
        self._require_number("ffn_ratio")
        self._require_channels(self.channels, minimum_levels=2)
        self._require_divisor("heads", self.channels)
        self._require_divisor("norm_groups", self.channels)
        self._require("channels", self.channels[0] % 2 == 0, "even at level 0 (half cosine, half sine)")
        scale = 2 ** (len(self.channels) - 1)
        self._require("sample_size", self.sample_size % scale == 0, f"a multiple of {scale}")
        self._require("position_kernel", self.position_kernel % 2 == 1, "odd")
        self._require("ffn_ratio", self.hidden(min(self.channels)) >= 1, "at least one channel wide")

    @property
    def time_width(self) -> int:
        """Width of the time embedding: four times the channels of level 0."""
        return 4 * self.channels[0]

    def side(self, level: int) -> int:
        """Side of the square feature map at `level` (0 is the finest)."""
        return self.sample_size >> level

    def hidden(self, channels: int) -> int:
        """Hidden width of a MixFFN on `channels` channels."""
        return int(self.ffn_ratio * channels)


FULL = UNetConfig()
TINY = UNetConfig(sample_size=16, channels=(32, 64, 128), token_width=64, cross_width=48)
NANO = UNetConfig(sample_size=32, channels=(64, 128, 256), token_width=256, cross_width=128)


@dataclass(frozen=True)
class AutoencoderKLConfig(JsonConfig):
    """Shape of a Stable-Diffusion `AutoencoderKL` (arXiv 2112.10752); the defaults are the published one.

    Latents are the posterior's mean times `scaling_factor`.
    """

    channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_level: int = 2
    latent_channels: int = 4
    norm_groups: int = 32
    scaling_factor: float = 0.18215

    def __post_init__(self) -> None:
        self._require_counts("layers_per_level", "latent_channels", "norm_groups")
        self._require_number("scaling_factor")
        self._require_channels(self.channels, minimum_levels=1)
        self._require_divisor("norm_groups", self.channels)

    @property
    def downscale(self) -> int:
        """Pixels of the picture a side of one latent."""
        return 1 << (len(self.channels) - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the type that the registry reads."""
        return {"type": "autoencoder_kl", **super().to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; `ValueError` names any unknown key."""
        return super().from_dict({name: value for name, value in values.items() if name != "type"})

"""Frozen architecture descriptions of the networks, their presets and their JSON form.

Owns what may be said about a shape, not how a layer computes. A value that no network can have raises `ValueError`
naming the field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


def _require(condition: bool, field: str, value: object, allowed: str) -> None:
    if not condition:
        raise ValueError(f"{field} must be {allowed}, got {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _require_counts(config: object, *fields: str) -> None:
    for field in fields:
        value = getattr(config, field)
        _require(_is_count(value), field, value, "a positive whole number")


def _require_number(config: object, field: str) -> None:
    value = getattr(config, field)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    _require(is_number and 0 < value < float("inf"), field, value, "a positive finite number")


def _require_channels(field: str, channels: object, minimum_levels: int) -> None:
    valid = isinstance(channels, tuple) and len(channels) >= minimum_levels and all(map(_is_count, channels))
    _require(valid, field, channels, f"a list of at least {minimum_levels} positive whole numbers")


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
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


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
        _require_counts(
            self, "in_channels", "out_channels", "sample_size", "layers_per_level", "heads", "token_count",
            "tokens_per_prompt", "token_width", "cross_width", "position_kernel", "norm_groups",
        )  # fmt: skip
        _require_number(self, "ffn_ratio")
        _require_channels("channels", self.channels, minimum_levels=2)
        for field in ("heads", "norm_groups"):
            divides = all(width % getattr(self, field) == 0 for width in self.channels)
            _require(divides, field, getattr(self, field), f"a divisor of every one of channels {self.channels}")
        _require(self.channels[0] % 2 == 0, "channels", self.channels, "even at level 0 (half cosine, half sine)")
        scale = 2 ** (len(self.channels) - 1)
        _require(self.sample_size % scale == 0, "sample_size", self.sample_size, f"a multiple of {scale}")
        _require(self.position_kernel % 2 == 1, "position_kernel", self.position_kernel, "odd")
        _require(int(self.ffn_ratio * min(self.channels)) >= 1, "ffn_ratio", self.ffn_ratio, "at least one channel wide")

    @property
    def time_width(self) -> int:
        """Width of the time embedding: four times the channels of level 0."""
        return 4 * self.channels[0]

    def side(self, level: int) -> int:
        """Side of the square feature map at `level` (0 is the finest)."""
        return self.sample_size // 2**level


FULL = UNetConfig()
TINY = UNetConfig(sample_size=16, channels=(32, 64, 128), token_width=64, cross_width=48)
NANO = UNetConfig(sample_size=32, channels=(64, 128, 256), token_width=256, cross_width=128)

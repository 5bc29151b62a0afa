"""Frozen description of a PixelHacker U-Net, and its presets."""

from __future__ import annotations

from dataclasses import dataclass

from service.model.config import JsonConfig


@dataclass(frozen=True)
class TeacherConfig(JsonConfig):
    """Shape of a PixelHacker U-Net (arXiv 2504.20438); the defaults are the published network, 862,251,708 parameters.

    `sample_size` is the side of the square latent map. A value that no network can have raises `ValueError`.
    """

    in_channels: int = 9
    out_channels: int = 4
    sample_size: int = 64
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_level: int = 2
    heads: int = 8
    token_count: int = 20
    tokens_per_prompt: int = 10
    token_width: int = 3072
    cross_width: int = 768
    norm_groups: int = 32

    def __post_init__(self) -> None:
        self._require_counts("in_channels", "out_channels", "sample_size", "layers_per_level", "heads")
        self._require_counts("token_count", "tokens_per_prompt", "token_width", "cross_width", "norm_groups")
        self._require_channels(self.channels, minimum_levels=2)
        self._require_divisor("norm_groups", self.channels)
        halves = all(width % (2 * self.heads) == 0 for width in self.channels)
        self._require("heads", halves, f"a divisor of half of every one of channels {list(self.channels)}")
        scale = 2 ** (len(self.channels) - 1)
        self._require("sample_size", self.sample_size % scale == 0, f"a multiple of {scale}")

    @property
    def time_width(self) -> int:
        """Width of the time embedding: four times the channels of level 0."""
        return 4 * self.channels[0]


FULL_TEACHER = TeacherConfig()
TINY_TEACHER = TeacherConfig(sample_size=16, channels=(32, 64, 128, 128), token_width=64, cross_width=48)
NANO_TEACHER = TeacherConfig(
    sample_size=32, channels=(64, 128, 256, 256), layers_per_level=1, token_width=256, cross_width=128
)

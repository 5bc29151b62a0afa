"""The small autoencoder of our own models: factor 8, 4 latent channels, about 1 M parameters.

It works at a quarter of the picture's resolution through pixel (un)shuffle and has no normalisation layer
inside, so that a latent depends on its neighbourhood alone: a grey hole does not change latents far from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from service.model.autoencoder import Autoencoder


@dataclass(frozen=True)
class NanoAutoencoderConfig:
    """Shape of the autoencoder. `width` is the channels at 1/4 of the side; at 1/8 there are twice as many.

    The counts of blocks are in the order of the data: encoder (at 1/4, at 1/8), decoder (at 1/8, at 1/4).
    """

    width: int = 48
    latent_channels: int = 4
    encoder_blocks: tuple[int, int] = (1, 2)
    decoder_blocks: tuple[int, int] = (3, 2)
    patch: int = 4

    def __post_init__(self) -> None:
        """Refuse shapes that can't be built."""
        for name in ("width", "latent_channels", "patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("encoder_blocks", "decoder_blocks"):
            if len(getattr(self, name)) != 2 or min(getattr(self, name)) < 0:
                raise ValueError(f"{name} must be two counts of blocks, not {getattr(self, name)}")

    @property
    def downscale(self) -> int:
        """Pixels of the picture a side of one latent."""
        return 2 * self.patch

    def to_dict(self) -> dict[str, Any]:
        """JSON form, with the type that the registry reads."""
        return {"type": "nano", **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NanoAutoencoderConfig:
        """Inverse of `to_dict`; an unknown key raises ValueError naming it."""
        known = {key: value for key, value in values.items() if key != "type"}
        unknown = set(known) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"unknown autoencoder settings: {', '.join(sorted(unknown))}")
        for name in ("encoder_blocks", "decoder_blocks"):
            if name in known:
                known[name] = tuple(known[name])
        return cls(**known)


class ResidualConvs(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3; the last convolution starts at zero: the block is the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        change: Tensor = self.conv2(torch.relu(self.conv1(torch.relu(x))))
        return x + change


class NanoAutoencoder(Autoencoder):
    """Autoencoder whose latents have unit variance: a BatchNorm without weights ends the encoder."""

    config: NanoAutoencoderConfig

    def __init__(self, config: NanoAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        width, deep = config.width, 2 * config.width
        patch_channels = 3 * config.patch**2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(config.patch),
            nn.Conv2d(patch_channels, width, 3, padding=1),
            *(ResidualConvs(width) for _ in range(config.encoder_blocks[0])),
            nn.Conv2d(width, deep, 3, stride=2, padding=1),
            *(ResidualConvs(deep) for _ in range(config.encoder_blocks[1])),
            nn.Conv2d(deep, config.latent_channels, 3, padding=1),
            nn.BatchNorm2d(config.latent_channels, affine=False),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(config.latent_channels, deep, 3, padding=1),
            *(ResidualConvs(deep) for _ in range(config.decoder_blocks[0])),
            nn.Conv2d(deep, 4 * width, 1),
            nn.PixelShuffle(2),
            *(ResidualConvs(width) for _ in range(config.decoder_blocks[1])),
            nn.ReLU(),
            nn.Conv2d(width, patch_channels, 3, padding=1),
            nn.PixelShuffle(config.patch),
        )

    @property
    def first_layers(self) -> tuple[nn.Module, ...]:
        """The convolution of the unshuffled pixels, and that of the latents."""
        return self.encoder[1], self.decoder[0]

    @property
    def last_layers(self) -> tuple[nn.Module, ...]:
        """The convolution to latents with its norm, and that to the pixels that are shuffled."""
        return self.encoder[-2], self.encoder[-1], self.decoder[-2]

    def encode(self, images: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in [-1, 1] -> latents [B, 4, H/8, W/8]. Raises ValueError on other shapes."""
        factor = self.config.downscale
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % factor or images.shape[3] % factor:
            raise ValueError(f"images must be [B, 3, {factor}k, {factor}m], not {list(images.shape)}")
        latents: Tensor = self.encoder(images)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, 4, h, w] -> pictures [B, 3, 8h, 8w], about [-1, 1] (not clamped)."""
        channels = self.config.latent_channels
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise ValueError(f"latents must be [B, {channels}, h, w], not {list(latents.shape)}")
        images: Tensor = self.decoder(latents)
        return images

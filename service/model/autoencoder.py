"""What every autoencoder offers, whatever its architecture: pictures to scaled latents and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from torch import Tensor, nn


class AutoencoderConfig(Protocol):
    """What is asked of an autoencoder's configuration."""

    @property
    def downscale(self) -> int:
        """Pixels of the picture a side of one latent."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that `registry.build_autoencoder` reads."""


class Autoencoder(nn.Module, ABC):
    """A network between pictures in [-1, 1] and latents of about unit variance. Deterministic both ways."""

    config: AutoencoderConfig

    @property
    @abstractmethod
    def first_layers(self) -> tuple[nn.Module, ...]:
        """The layers that make maps of pictures and of latents."""

    @property
    @abstractmethod
    def last_layers(self) -> tuple[nn.Module, ...]:
        """The layers that make pictures and latents of maps, and what is between these and the outside."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Map pictures [B, 3, H, W] in [-1, 1] to latents [B, 4, H/8, W/8]. `ValueError` on other shapes."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Map latents [B, 4, h, w] to pictures [B, 3, 8h, 8w], not clamped. `ValueError` on other shapes."""

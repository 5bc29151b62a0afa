"""The Stable-Diffusion autoencoder (`AutoencoderKL`, arXiv 2112.10752) under diffusers' state-dict names.

Encoding takes the mean of the posterior, never a sample: the same picture always has the same latents.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from service.model.autoencoder import Autoencoder
from service.model.config import AutoencoderKLConfig
from service.model.vae_blocks import NORM_EPS, DecoderLevel, EncoderLevel, MidBlock

IMAGE_CHANNELS = 3


class AutoencoderKL(Autoencoder):
    """Encoder and decoder with a diagonal Gaussian posterior, of which the mean is used."""

    config: AutoencoderKLConfig

    def __init__(self, config: AutoencoderKLConfig) -> None:
        super().__init__()
        self.config = config
        moments = 2 * config.latent_channels  # mean and log variance
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = nn.Conv2d(moments, moments, 1)
        self.post_quant_conv = nn.Conv2d(config.latent_channels, config.latent_channels, 1)

    @property
    def first_layers(self) -> tuple[nn.Module, ...]:
        """Those that make the widest maps."""
        return self.encoder.conv_in, self.decoder.conv_in

    @property
    def last_layers(self) -> tuple[nn.Module, ...]:
        """Both projections of the posterior as well: they have few channels."""
        return self.encoder.conv_out, self.quant_conv, self.post_quant_conv, self.decoder.conv_out

    def encode(self, images: Tensor) -> Tensor:
        """Map [B, 3, H, W] in [-1, 1] to the scaled posterior mean [B, latent, h, w], `downscale` smaller."""
        factor = self.config.downscale
        is_picture = images.ndim == 4 and images.shape[1] == IMAGE_CHANNELS
        if not is_picture or images.shape[2] % factor or images.shape[3] % factor:
            raise ValueError(
                f"images must be [B, {IMAGE_CHANNELS}, H, W] with sides that are multiples of {factor}, "
                f"got {list(images.shape)}"
            )
        mean, _ = self.quant_conv(self.encoder(images)).chunk(2, dim=1)  # 2 x [B, latent, h, w]
        scaled: Tensor = mean * self.config.scaling_factor
        return scaled

    def decode(self, latents: Tensor) -> Tensor:
        """Map scaled latents [B, latent, h, w] to [B, 3, h * downscale, w * downscale], not clamped."""
        channels = self.config.latent_channels
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise ValueError(f"latents must be [B, {channels}, h, w], got {list(latents.shape)}")
        images: Tensor = self.decoder(self.post_quant_conv(latents / self.config.scaling_factor))
        return images


class Encoder(nn.Module):
    """Pictures [B, 3, H, W] to posterior moments before `quant_conv`, [B, 2 * latent, h, w]."""

    def __init__(self, config: AutoencoderKLConfig) -> None:
        super().__init__()
        channels = config.channels
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(IMAGE_CHANNELS, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            EncoderLevel(before, width, config, resample=level < last)
            for level, (before, width) in enumerate(pairwise((channels[0], *channels)))
        )
        self.mid_block = MidBlock(channels[-1], config.norm_groups)
        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels[-1], NORM_EPS)
        self.conv_out = nn.Conv2d(channels[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Map [B, 3, H, W] to [B, 2 * latent, h, w]."""
        x = self.conv_in(images)
        for level in self.down_blocks:
            x = level(x)
        moments: Tensor = self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))
        return moments


class Decoder(nn.Module):
    """Latents after `post_quant_conv`, [B, latent, h, w], to pictures [B, 3, H, W]."""

    def __init__(self, config: AutoencoderKLConfig) -> None:
        super().__init__()
        channels = config.channels[::-1]
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(config.latent_channels, channels[0], 3, padding=1)
        self.up_blocks = nn.ModuleList(
            DecoderLevel(before, width, config, resample=level < last)
            for level, (before, width) in enumerate(pairwise((channels[0], *channels)))
        )
        self.mid_block = MidBlock(channels[0], config.norm_groups)
        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels[-1], NORM_EPS)
        self.conv_out = nn.Conv2d(channels[-1], IMAGE_CHANNELS, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Map [B, latent, h, w] to [B, 3, H, W]."""
        x = self.mid_block(self.conv_in(latents))
        for level in self.up_blocks:
            x = level(x)
        images: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return images

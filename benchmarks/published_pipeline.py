"""A picture in the order of the published code, to measure ours against: fp32, both branches of guidance in full and
the tokens projected again at every step, picture and masked picture encoded one after the other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.engine_tasks import GUIDANCE, Task, crop
from benchmarks.published_network import both_branches, published_unet
from service.artifacts import UNET_WEIGHTS, VAE_WEIGHTS, load_manifest
from service.engine.base import Array, StepCoefficients
from service.engine.sampler import ddim_table, ddim_timesteps, initial_noise
from service.model.checkpoint import load_strictly, read_state
from service.model.config import UNetConfig
from service.model.registry import build_autoencoder


class PublishedPipeline:
    """The networks of a stored model on a device. Latents stay there; a task returns when the device has finished."""

    def __init__(self, folder: Path, device: str) -> None:
        manifest = load_manifest(folder)
        self.device = torch.device(device)
        self.config = UNetConfig.from_dict(manifest.config["unet"])
        self.prediction_type = manifest.prediction_type
        self.image_size = manifest.image_size
        self.downscale = manifest.latent_downscale
        unet = published_unet(self.config)
        load_strictly(unet, read_state(folder / UNET_WEIGHTS))
        self.unet = unet.to(self.device).eval()
        autoencoder = build_autoencoder(manifest.config["autoencoder"])
        load_strictly(autoencoder, read_state(folder / VAE_WEIGHTS))
        self.autoencoder = autoencoder.to(self.device).eval()

    def guided_step(self, count: int) -> Task:
        """A step of `count` pictures, always from the same latents."""
        x, condition = self.noise(count), self.encoded().expand(count, -1, -1, -1)
        row = self.rows(2)[0]
        return self._settled(lambda: self.step(x, condition, row))

    def encoding(self) -> Task:
        """The two encodings of one picture."""
        return self._settled(self.encoded)

    def decoding(self) -> Task:
        """Latents to one picture."""
        x = self.noise(1)
        return self._settled(lambda: self.decoded(x))

    def whole_picture(self, steps: int) -> Task:
        """Both encodings, all steps, and the decoding."""
        return self._settled(lambda: self.picture(steps))

    @torch.inference_mode()
    def picture(self, steps: int, *, taken: int | None = None) -> Array:
        """One picture [1, 3, s, s] in [-1, 1] after all steps of a run, or after the first `taken` of them."""
        condition, x = self.encoded(), self.noise(1)
        for row in self.rows(steps)[:taken]:
            x = self.step(x, condition, row)
        return self.decoded(x)

    def rows(self, steps: int) -> tuple[StepCoefficients, ...]:
        """The coefficients of a run of so many steps, guided."""
        return ddim_table(ddim_timesteps(steps), 1.0, GUIDANCE, prediction_type=self.prediction_type).rows

    def noise(self, count: int) -> Tensor:
        """The first latents [count, 4, h, w], as those of the service's first candidates."""
        side = self.config.sample_size
        shape = (self.config.out_channels, side, side)
        return torch.from_numpy(np.stack([initial_noise(index, 0, shape) for index in range(count)])).to(
            self.device
        )

    @torch.inference_mode()
    def encoded(self) -> Tensor:
        """Mask and latents of the masked picture [1, 5, h, w]; the latents of the whole picture, which only strengths
        below 1 need, are made as well.
        """
        image, hole = (torch.from_numpy(array).to(self.device) for array in crop(self.image_size))
        masked = image * (1 - hole)
        self.autoencoder.encode(image[None])
        latents = self.autoencoder.encode(masked[None])
        return torch.cat([F.max_pool2d(hole[None, None], self.downscale), latents], dim=1)

    @torch.inference_mode()
    def step(self, x: Tensor, condition: Tensor, row: StepCoefficients) -> Tensor:
        """The next latents [n, 4, h, w]: the negative and the positive branch of every picture as one batch."""
        sample = torch.cat([x, condition], dim=1).repeat(2, 1, 1, 1)  # [2 n, 9, h, w]
        timesteps = torch.full((len(sample),), row.timestep, device=self.device)
        tokens = both_branches(len(x), self.config).to(self.device)
        positive, negative = self.unet(sample, timesteps, tokens).chunk(2)
        prediction = negative + row.guidance * (positive - negative)
        latents: Tensor = row.a * x + row.b * prediction
        return latents

    @torch.inference_mode()
    def decoded(self, latents: Tensor) -> Array:
        """Pictures [n, 3, s, s] in [-1, 1]."""
        pictures: Array = self.autoencoder.decode(latents).clamp(-1, 1).cpu().numpy()
        return pictures

    def _settled(self, call: Task) -> Task:
        def settled() -> None:
            call()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        return settled

"""A distillation step in the structure of the published loop, to measure ours against: pictures are encoded at every
step, the teacher's products are fp32, and every balancing norm is a backward pass of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.balancing import (
    FEATURE_EPSILON,
    FEATURE_LIMIT,
    OUTPUT_EPSILON,
    OUTPUT_LIMIT,
    BalancingWeights,
    DistillationLosses,
    total_loss,
)
from training.denoising import token_ids
from training.distil import DistilTrainer, first_up_level, student_of
from training.noising import add_noise, clean_latents, log_normal_timesteps, offset_noise
from training.samples import Sample


class PublishedLoop:
    """The step on the networks, the schedule and the perceptual loss of a trainer, and always the same samples.

    The trainer needs a teacher, an autoencoder and the published settings: noise predicted, a plain mean.
    """

    def __init__(self, trainer: DistilTrainer, samples: Sequence[Sample]) -> None:
        assert trainer.teacher is not None
        assert trainer.autoencoder is not None
        self.trainer, self.teacher, self.autoencoder = trainer, trainer.teacher, trainer.autoencoder
        denoiser = student_of(trainer).diff_model
        last_block = list(denoiser.down_blocks[-1].get_submodule("attentions").children())[-1]
        self.output_weight = denoiser.conv_out.conv_pw.weight
        self.feature_weight = last_block.get_parameter("proj_out.weight")
        device, cell = trainer.device, self.autoencoder.config.downscale
        pictures = np.stack([sample.picture for sample in samples])
        self.images = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(device) / 127.5 - 1  # [B, 3, s, s]
        self.holes = torch.from_numpy(np.stack([sample.hole for sample in samples]))[:, None].to(device)
        self.mask = F.max_pool2d(self.holes.float(), cell)  # [B, 1, s / cell, s / cell]
        self.tokens = token_ids(torch.tensor([sample.category for sample in samples])).to(device)
        self.alphas_cumprod = trainer.alphas_cumprod.to(device)

    def losses(self) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The balanced loss and its terms and weights, as `DistilTrainer.losses` gives them."""
        latents, masked_latents = self.encoded()
        timesteps = log_normal_timesteps(len(latents)).to(latents.device)
        noise = offset_noise(latents, self.trainer.recipe.noise_offset)
        noised = add_noise(latents, timesteps, noise, self.alphas_cumprod, "epsilon")
        inputs = torch.cat([noised.noisy, self.mask, masked_latents], 1), timesteps, self.tokens
        with torch.no_grad():
            taught = self.teacher.forward_with_blocks(*inputs)
        predicted, feature = self.trainer.model(*inputs)
        implied = clean_latents(noised.noisy, predicted, noised.alpha, "epsilon")
        perceptual = self.trainer.perceptual.distance
        terms = DistillationLosses(
            task=F.mse_loss(predicted, noised.target),
            coarse=F.mse_loss(feature, taught.blocks[first_up_level(self.teacher)]),
            fine=F.mse_loss(predicted, taught.noise),
            perceptual=None if perceptual is None else perceptual(implied, latents, self.mask),
        )
        weights = self._balancing_weights(terms)
        return total_loss(terms, weights), {**terms.named(), **weights.named()}

    @torch.no_grad()
    def encoded(self) -> tuple[Tensor, Tensor]:
        """Latents of the pictures and of the pictures with grey holes, [B, 4, h, w] each."""
        masked = self.images.masked_fill(self.holes, 0.0)
        return self.autoencoder.encode(self.images), self.autoencoder.encode(masked)

    def _balancing_weights(self, losses: DistillationLosses) -> BalancingWeights:
        """A backward pass for each of five norms; four without a perceptual loss."""
        assert losses.coarse is not None
        assert losses.fine is not None
        task = _norm(losses.task, self.output_weight)
        fine = task / (_norm(losses.fine, self.output_weight) + OUTPUT_EPSILON)
        perceptual = None
        if losses.perceptual is not None:
            norm = _norm(losses.perceptual, self.output_weight)
            perceptual = (task / (norm + OUTPUT_EPSILON)).clamp(0, OUTPUT_LIMIT)
        coarse = _norm(losses.coarse, self.feature_weight)
        at_feature = coarse / (_norm(losses.task, self.feature_weight) + FEATURE_EPSILON)
        return BalancingWeights(at_feature.clamp(0, FEATURE_LIMIT), fine.clamp(0, OUTPUT_LIMIT), perceptual)


def _norm(loss: Tensor, weight: Tensor) -> Tensor:
    norm: Tensor = torch.autograd.grad(loss, weight, retain_graph=True)[0].norm()
    return norm

"""Distils a teacher into the student, as published: four losses, balanced by their gradients' norms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.model.unet import MoebiusUNet
from training.balancing import DistillationLosses, GradientBalancer, total_loss
from training.denoising import DenoisingRecipe, DenoisingTrainer
from training.errors import RecipeError
from training.noising import masked_mean_square
from training.perceptual import PerceptualLoss, PerceptualRecipe
from training.pretrained import pretrained_teacher
from training.teacher import PixelHackerUNet


@dataclass(frozen=True, kw_only=True)
class DistilRecipe(PerceptualRecipe, DenoisingRecipe):
    """Settings of the section `distil` (recipes/nano.yaml). Without a `teacher` the student learns by the task's and
    the perceptual loss alone: the ablation.

    The balancing weights a_* are worked out for each micro-batch, over all processes: two processes compute what one
    does, but `accumulate` changes the weights, and with them what is learnt, a little.
    """

    teacher: Path | None = None


class StudentWithFeature(nn.Module):
    """The student's prediction beside the map that is compared with the teacher's."""

    def __init__(self, student: MoebiusUNet) -> None:
        super().__init__()
        self.student = student

    def forward(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """(prediction [B, 4, h, w], feature [B, C, h/4, w/4])."""
        outputs = self.student.forward_with_blocks(sample, timesteps, token_ids)
        return outputs.noise, outputs.blocks[last_down_level(self.student)]


class DistilTrainer(DenoisingTrainer):
    """Trains a `MoebiusUNet` by its recipe. Raises RecipeError for another architecture, DataError where the
    teacher is missing.
    """

    def __init__(self, recipe: DistilRecipe) -> None:
        self.recipe = recipe
        teacher = pretrained_teacher(recipe.teacher) if recipe.teacher else None
        super().__init__(recipe)
        if teacher is not None:
            refuse_unlike(teacher, student_of(self))
        self.teacher = teacher.requires_grad_(requires_grad=False).to(self.device) if teacher else None
        self.perceptual = PerceptualLoss(recipe, self.autoencoder, device=self.device, log=self.processes.say)
        self.balancer = student_balancer(self)

    def forward_module(self) -> nn.Module:
        """The student with the feature that is distilled."""
        return StudentWithFeature(student_of(self))

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """The balanced losses of one batch."""
        batch, noised = self.draw(step)
        inputs = self.share_inputs(batch, noised.noisy, noised.timesteps)
        with self.balancer.recording():
            predicted, feature = self.model(*inputs)
        mask = self.place("mask", batch.mask)
        terms = DistillationLosses(
            masked_mean_square(
                predicted, self.place("target", noised.target), mask, self.recipe.known_weight
            ),
            *self._teacher_losses(inputs, predicted, feature, mask),
            self.perceptual.of_prediction(
                inputs[0][:, :4],
                predicted,
                self.place("alpha", noised.alpha),
                self.recipe.prediction_type,
                latents=self.place("latents", batch.latents),
                mask=mask,
            ),
        )
        weights = self.balancer.weights(terms)
        return total_loss(terms, weights), {**terms.named(), **weights.named()}

    def _teacher_losses(
        self, inputs: tuple[Tensor, Tensor, Tensor], predicted: Tensor, feature: Tensor, mask: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """L_coarse and L_fine, where there is a teacher. Its weights stay in fp32, its products under autocast."""
        if self.teacher is None:
            return None, None
        with torch.no_grad(), self.processes.autocast():
            taught = self.teacher.forward_with_blocks(*inputs)
        coarse = F.mse_loss(feature, taught.blocks[first_up_level(self.teacher)].float())
        return coarse, masked_mean_square(predicted, taught.noise.float(), mask, self.recipe.known_weight)


def student_of(trainer: DenoisingTrainer) -> MoebiusUNet:
    """The trainer's network. Raises RecipeError where it is no Moebius U-Net."""
    if not isinstance(trainer.network, MoebiusUNet):
        raise RecipeError(
            f"architecture must be a moebius one to be distilled, not {trainer.denoising.architecture}"
        )
    return trainer.network


def student_balancer(trainer: DenoisingTrainer) -> GradientBalancer:
    """Balancing on the published weights: the last pointwise convolution, and the output projection of the last LlMI
    block of the third down level.
    """
    denoiser = student_of(trainer).diff_model
    last_block = list(denoiser.down_blocks[-1].get_submodule("attentions").children())[-1]
    projection = last_block.get_submodule("proj_out")
    assert isinstance(projection, nn.Conv2d)
    return GradientBalancer(denoiser.conv_out.conv_pw, projection, trainer.all_reduced)


def last_down_level(student: MoebiusUNet) -> int:
    """Which block output is compared with the teacher's: the third down level's in the published network."""
    return len(student.config.channels) - 1


def first_up_level(teacher: PixelHackerUNet) -> int:
    """Which of the teacher's block outputs that is: its first up level's, after the down levels and the mid block."""
    return len(teacher.config.channels) + 1


def refuse_unlike(teacher: PixelHackerUNet, student: MoebiusUNet) -> None:
    """Raise RecipeError unless the two read the same latents and tokens and their compared maps have one shape."""
    taught, learnt = teacher.config, student.config
    if taught.channels[-1] != learnt.channels[-1] or len(taught.channels) != len(learnt.channels) + 1:
        raise RecipeError(
            f"a teacher of channels {list(taught.channels)} can't teach a student of {list(learnt.channels)}: it must "
            "have one level more, and as many channels at its last as the student has at its own"
        )
    if taught.sample_size != learnt.sample_size:
        raise RecipeError(
            f"the teacher reads latents of side {taught.sample_size} and the student of {learnt.sample_size}: "
            "choose two of the same size"
        )

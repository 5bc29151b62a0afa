"""Distils a guided U-Net of many steps into one of few, which needs no guidance: one forward a step.

Two ways: progressive, a student's step is many of the teacher's (Salimans & Ho 2022, arXiv 2202.00512); consistency,
a student's clean latents are its average's one teacher's step further (Song et al. 2023, arXiv 2303.01469), by the
guided teacher (Luo et al. 2023, arXiv 2310.04378).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from training.balancing import DistillationLosses, LossShares, total_loss
from training.denoising import DenoisingRecipe, DenoisingTrainer, token_ids
from training.distil import student_balancer
from training.errors import RecipeError
from training.noising import clean_latents, implied_velocity, masked_mean_square, move, velocity_between
from training.perceptual import PerceptualLoss, PerceptualRecipe
from training.pretrained import pretrained_student

CLEAN = -1


@dataclass(frozen=True, kw_only=True)
class FewStepRecipe(PerceptualRecipe, DenoisingRecipe):
    """Settings of the section `few_step` (recipes/nano.yaml).

    `teacher` is the run, or the published weights, of the U-Net that takes many steps; the student starts from it
    unless `initial` says otherwise. `timesteps` are those that the student will be asked at, descending;
    `guidance_scale` is distilled into it. Between two of them the teacher takes `teacher_steps`.
    The shares are those of the balanced losses: to the true latents, to where the teacher goes, and perceptual.
    """

    teacher: Path
    timesteps: tuple[int, ...] = (999, 749, 499, 249)
    method: Literal["progressive", "consistency"] = "progressive"
    teacher_steps: int = 2
    task_share: float = 0.5
    fine_share: float = 0.5
    perceptual_share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        descending = all(before > after for before, after in pairwise(self.timesteps))
        self._require("timesteps", len(self.timesteps) > 0 and descending, "a list of descending timesteps")
        self._require("timesteps", min(self.timesteps) > 0 and max(self.timesteps) < 1000, "from 1 to 999")
        self._require("teacher_steps", self.teacher_steps >= 1, "at least 1")


class FewStepTrainer(DenoisingTrainer):
    """Trains a `MoebiusUNet` by its recipe. The teacher and the average judge on this process's own rows."""

    def __init__(self, recipe: FewStepRecipe) -> None:
        self.recipe = recipe
        teacher = pretrained_student(recipe.teacher)
        super().__init__(replace(recipe, initial=recipe.initial or recipe.teacher))
        if recipe.method == "consistency" and self.average.is_sharded:
            raise RecipeError(
                "method: consistency asks the whole average at every step: use DDP, or progressive"
            )
        self.teacher = teacher.requires_grad_(requires_grad=False).to(self.device)
        self.perceptual = PerceptualLoss(recipe, self.autoencoder, device=self.device, log=self.processes.say)
        self.balancer = student_balancer(self)
        self.path = teacher_timesteps(recipe.timesteps, recipe.teacher_steps)
        with_end = torch.cat([self.alphas_cumprod, torch.ones(1)])  # index CLEAN is the end
        self.path_alphas = with_end[torch.tensor(self.path)]

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """The balanced distances from the true latents and from where the teacher goes, and the perceptual loss."""
        recipe = self.recipe
        batch = self.own_batch(step)
        start = self.start_points(recipe.batch)[self.rows]  # [b] places on the teacher's path
        alpha = self.alpha_at(start)
        noise = torch.randn(self.whole_shape(batch).shape)[self.rows]
        noised = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * noise
        # The service starts from noise alone.
        noisy = torch.where((start == 0).view(-1, 1, 1, 1), noise, noised)
        inputs = self.share_inputs(batch, noisy, torch.tensor(self.path)[start])
        start, mask = self.place("start", start), self.place("mask", batch.mask)
        with self.balancer.recording():
            predicted = self.model(*inputs)
        alpha, noisy = self.alpha_at(start), inputs[0][:, :4]
        velocity = implied_velocity(noisy, predicted, alpha, recipe.prediction_type)
        latents = self.place("latents", batch.latents)
        true = velocity_between(noisy, latents, alpha, torch.ones_like(alpha))
        taught = self.target(inputs, start, self.place("category", batch.category))
        terms = DistillationLosses(
            task=masked_mean_square(velocity, true, mask, recipe.known_weight),
            fine=masked_mean_square(velocity, taught, mask, recipe.known_weight),
            perceptual=self.perceptual.of_prediction(
                noisy, velocity, alpha, "v_prediction", latents=latents, mask=mask
            ),
        )
        weights = self.balancer.weights(terms)
        shares = LossShares(
            task=recipe.task_share, fine=recipe.fine_share, perceptual=recipe.perceptual_share
        )
        return total_loss(terms, weights, shares), {**terms.named(), **weights.named()}

    def start_points(self, count: int) -> Tensor:
        """Where on the teacher's path the samples start, [count]: at the student's timesteps alone, or anywhere."""
        if self.recipe.method == "consistency":
            return torch.randint(len(self.path) - 1, (count,))
        return self.recipe.teacher_steps * torch.randint(len(self.recipe.timesteps), (count,))

    def alpha_at(self, place: Tensor) -> Tensor:
        """The cumulated alpha [b, 1, 1, 1] of places [b] on the teacher's path, 1 at its end."""
        return self.path_alphas.to(place.device)[place].view(-1, 1, 1, 1)

    @torch.no_grad()
    def target(self, inputs: tuple[Tensor, Tensor, Tensor], start: Tensor, category: Tensor) -> Tensor:
        """The velocity [b, 4, h, w] that the student shall predict at its start."""
        noisy, condition, alpha = inputs[0][:, :4], inputs[0][:, 4:], self.alpha_at(start)
        if self.recipe.method == "progressive":
            moved, place = noisy, start
            for _ in range(self.recipe.teacher_steps):
                moved, place = self.teacher_step(moved, condition, place, category), place + 1
            return velocity_between(noisy, moved, alpha, self.alpha_at(place))
        moved, place = self.teacher_step(noisy, condition, start, category), start + 1
        return velocity_between(
            noisy, self.averaged_clean(moved, condition, place, inputs[2]), alpha, torch.ones_like(alpha)
        )

    def teacher_step(self, noisy: Tensor, condition: Tensor, place: Tensor, category: Tensor) -> Tensor:
        """One guided step of the teacher from the places [b] to those after them."""
        tokens = token_ids(torch.cat([category, 1 - category]).cpu()).to(noisy.device)  # [2b, 10]
        timesteps = torch.tensor(self.path, device=noisy.device)[place].repeat(2)
        sample = torch.cat([noisy, condition], 1).repeat(2, 1, 1, 1)  # [2b, 9, h, w]
        wanted, unwanted = self.teacher(sample, timesteps, tokens).chunk(2)
        guided = unwanted + self.recipe.guidance_scale * (wanted - unwanted)
        alpha = self.alpha_at(place)
        velocity = implied_velocity(noisy, guided, alpha, self.recipe.prediction_type)
        return move(noisy, velocity, alpha, self.alpha_at(place + 1))

    def averaged_clean(self, moved: Tensor, condition: Tensor, place: Tensor, tokens: Tensor) -> Tensor:
        """The clean latents that the averaged student sees at the places; those that have arrived as they are."""
        alpha = self.alpha_at(place)
        timesteps = torch.tensor(self.path, device=moved.device)[place].clamp(min=0)
        prediction = self.average.network(torch.cat([moved, condition], 1), timesteps, tokens)
        clean = clean_latents(moved, prediction, alpha, self.recipe.prediction_type)
        return torch.where(alpha == 1, moved, clean)

    def sample_timesteps(self) -> tuple[int, ...]:
        """The student's own."""
        return self.recipe.timesteps

    def sample_guidance(self) -> float:
        """None: it is in the weights."""
        return 1.0


def teacher_timesteps(timesteps: tuple[int, ...], teacher_steps: int) -> tuple[int, ...]:
    """The teacher's path: each stretch between two of the student's timesteps, the last to the end, in as many equal
    parts; CLEAN is the end.
    """
    path: list[int] = []
    for before, after in pairwise((*timesteps, CLEAN)):
        path += [round(before + (after - before) * part / teacher_steps) for part in range(teacher_steps)]
    return (*path, CLEAN)

"""Gradient-norm balancing: the published formulas on a network small enough to work out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from training.balancing import (
    BalancingWeights,
    DistillationLosses,
    GradientBalancer,
    WeightGradient,
    linearised,
    total_loss,
)


def alone(gradient: Tensor) -> Tensor:
    """The mean over the processes, where there is one."""
    return gradient


class Toy(nn.Module):
    """feature = w_feat x, prediction = w_out feature, one channel, one position: every gradient is a product."""

    def __init__(self, w_feat: float, w_out: float) -> None:
        super().__init__()
        self.feature = nn.Conv2d(1, 1, 1, bias=False)
        self.output = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.feature.weight, w_feat)
        nn.init.constant_(self.output.weight, w_out)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.feature(x)
        return self.output(feature), feature


def toy_losses(toy: Toy, balancer: GradientBalancer) -> DistillationLosses:
    """x = 2, feature = 6, prediction = 3: task (3 - 1)^2, fine (3 - 2.5)^2, perceptual 3 * 3, coarse (6 - 5)^2."""
    with balancer.recording():
        prediction, feature = toy(torch.full((1, 1, 1, 1), 2.0))
    return DistillationLosses(
        task=(prediction - 1).square().mean(),
        fine=(prediction - 2.5).square().mean(),
        perceptual=3 * prediction.mean(),
        coarse=(feature - 5).square().mean(),
    )


def balanced_toy() -> tuple[DistillationLosses, BalancingWeights]:
    toy = Toy(w_feat=3.0, w_out=0.5)
    balancer = GradientBalancer(toy.output, toy.feature, alone)
    losses = toy_losses(toy, balancer)
    return losses, balancer.weights(losses)


def test_the_weights_are_those_worked_out_by_hand() -> None:
    _, weights = balanced_toy()
    # by w_out, whose input is 6: task 2 (3 - 1) 6 = 24, fine 2 (3 - 2.5) 6 = 6, perceptual 3 * 6 = 18
    assert weights.fine is not None
    assert weights.fine.item() == pytest.approx(24 / (6 + 1e-6))
    assert weights.perceptual is not None
    assert weights.perceptual.item() == pytest.approx(24 / (18 + 1e-6))
    # by w_feat, whose input is 2: coarse 2 (6 - 5) 2 = 4, task 2 (3 - 1) 0.5 * 2 = 4
    assert weights.task is not None
    assert weights.task.item() == pytest.approx(4 / (4 + 1e-4))


def test_the_total_is_the_published_sum() -> None:
    losses, weights = balanced_toy()
    # task 4, fine 0.25, perceptual 9, coarse 1; a_task 4 / 4.0001, a_fine 4, a_perc 4 / 3
    inner = 0.5 * 4 + 0.01 * 4 * 0.25 + 0.5 * (4 / 3) * 9
    assert total_loss(losses, weights).item() == pytest.approx(0.01 * 1 + 4 / 4.0001 * inner, rel=1e-6)


def test_no_gradient_flows_through_the_weights() -> None:
    _, weights = balanced_toy()
    assert not any(weight.requires_grad for weight in weights.named().values())


def test_the_weights_are_clamped_where_a_gradient_vanishes() -> None:
    toy = Toy(w_feat=3e9, w_out=1e-9)
    balancer = GradientBalancer(toy.output, toy.feature, alone)
    with balancer.recording():
        prediction, feature = toy(torch.ones(1, 1, 1, 1))
    losses = DistillationLosses(
        task=1e9 * prediction.mean(),
        fine=0 * prediction.mean(),
        coarse=1e20 * feature.mean(),
        perceptual=None,
    )
    weights = balancer.weights(losses)
    assert weights.fine is not None
    assert weights.fine.item() == 1e6
    assert weights.task is not None
    assert weights.task.item() == 1e4


def test_without_a_teacher_the_task_counts_as_it_is() -> None:
    toy = Toy(w_feat=3.0, w_out=0.5)
    balancer = GradientBalancer(toy.output, toy.feature, alone)
    whole = toy_losses(toy, balancer)
    losses = DistillationLosses(task=whole.task, perceptual=whole.perceptual)
    weights = balancer.weights(losses)
    assert weights.named().keys() == {"a_perceptual"}
    assert total_loss(losses, weights).item() == pytest.approx(0.5 * 4 + 0.5 * (4 / 3) * 9)


def test_the_norm_is_that_of_the_gradient_by_the_weight_itself() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 5, 1, bias=False)
    gradient = WeightGradient(layer)
    gradient.recording = True
    loss = F.silu(layer(torch.randn(3, 6, 4, 4))).square().mean()
    expected = torch.autograd.grad(loss, layer.weight, retain_graph=True)[0].norm()
    assert torch.allclose(gradient.norm(loss, alone), expected, rtol=1e-5)


def test_a_block_that_is_computed_again_in_the_backward_pass_changes_nothing() -> None:
    torch.manual_seed(0)
    layer, after = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
    gradient = WeightGradient(layer)
    x = torch.randn(2, 4, 4, 4)
    norms = []
    for wrapped in (False, True):
        gradient.recording = True
        inner = checkpoint(layer, x, use_reentrant=False) if wrapped else layer(x)
        losses = after(inner.sin()).square().mean(), after(inner.cos()).square().mean()
        gradient.recording = False
        norms.append([gradient.norm(loss, alone) for loss in losses])
    assert torch.allclose(torch.stack(norms[0]), torch.stack(norms[1]))


def test_gradients_of_all_processes_are_averaged_before_their_norm() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    gradient = WeightGradient(layer)
    gradient.recording = True
    loss = layer(torch.ones(1, 1, 1, 1)).mean()
    assert gradient.norm(loss, lambda mine: (mine - 3) / 2).item() == pytest.approx(
        1.0
    )  # mine 1, the other's -3


def test_a_linearised_loss_has_the_value_and_the_gradient_of_the_loss() -> None:
    prediction = torch.tensor([0.5, 2.0], requires_grad=True)
    apart = prediction.detach().requires_grad_()
    loss = linearised((apart.sin() * apart).sum(), apart, prediction)
    expected = (prediction.sin() * prediction).sum()
    assert loss.item() == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert torch.allclose(gradient, torch.autograd.grad(expected, prediction)[0])


def test_a_layer_that_is_no_pointwise_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match="1x1"):
        WeightGradient(nn.Conv2d(4, 4, 3))


def test_weights_before_any_forward_pass_are_refused() -> None:
    with pytest.raises(RuntimeError, match="forward"):
        WeightGradient(nn.Conv2d(1, 1, 1)).norm(torch.tensor(1.0), alone)

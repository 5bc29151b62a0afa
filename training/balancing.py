"""Gradient-norm balancing of the distillation's losses, as published: each auxiliary loss pulls at a shared weight
as strongly as the task's loss does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

AllReduce = Callable[[Tensor], Tensor]

OUTPUT_EPSILON, OUTPUT_LIMIT = 1e-6, 1e6
FEATURE_EPSILON, FEATURE_LIMIT = 1e-4, 1e4


@dataclass(frozen=True)
class LossShares:
    """How much each balanced loss counts; the defaults are the published numbers."""

    coarse: float = 0.01
    task: float = 0.5
    fine: float = 0.01
    perceptual: float = 0.5


PUBLISHED_SHARES = LossShares()


class WeightGradient:
    """G(L, w): the norm of a loss's gradient by the weight of a 1x1 convolution.

    It is taken from the layer's last input and output, dL/dw = sum over samples and positions of
    dL/d(output) input^T, and so is the same however the parameters are wrapped or sharded.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        if layer.kernel_size != (1, 1) or layer.groups != 1:
            raise ValueError(f"only a dense 1x1 convolution can be balanced on, not {layer}")
        self.recording = False
        self._input: Tensor | None = None
        self._output: Tensor | None = None
        layer.register_forward_hook(self._remember)

    def _remember(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self.recording:
            self._input, self._output = inputs[0].detach(), output

    def norm(self, loss: Tensor, all_reduce: AllReduce) -> Tensor:
        """G(loss, w), detached; `all_reduce` is the mean of the gradient over the processes. The graph is kept."""
        if self._input is None or self._output is None:
            raise RuntimeError("run the network forward while recording before its gradients are balanced")
        by_output = torch.autograd.grad(loss, self._output, retain_graph=True)[0]  # [B, out, h, w]
        by_weight = torch.einsum("bohw,bihw->oi", by_output.float(), self._input.float())
        norm: Tensor = all_reduce(by_weight).norm()
        return norm

    def forget(self) -> None:
        """Let the last graph go."""
        self._input = self._output = None


@dataclass(frozen=True)
class DistillationLosses:
    """The terms, scalars; without a teacher `coarse` and `fine` are None, without a perceptual loss that one is."""

    task: Tensor
    coarse: Tensor | None = None
    fine: Tensor | None = None
    perceptual: Tensor | None = None

    def named(self) -> dict[str, Tensor]:
        """Those that are there, as they are logged."""
        return {f"l_{name}": loss for name, loss in vars(self).items() if loss is not None}


@dataclass(frozen=True)
class BalancingWeights:
    """a_task, a_fine and a_perc: detached scalars, None where their loss is."""

    task: Tensor | None = None
    fine: Tensor | None = None
    perceptual: Tensor | None = None

    def named(self) -> dict[str, Tensor]:
        """Those that are there, as they are logged."""
        return {f"a_{name}": weight for name, weight in vars(self).items() if weight is not None}


def _ratio(numerator: Tensor, denominator: Tensor, epsilon: float, limit: float) -> Tensor:
    return (numerator / (denominator + epsilon)).clamp(0, limit).detach()


class GradientBalancer:
    """Works out the weights of one step: on the network's last pointwise convolution (`output`) and on the output
    projection of the last LlMI block of the third down level (`feature`).
    """

    def __init__(self, output: nn.Conv2d, feature: nn.Conv2d, all_reduce: AllReduce) -> None:
        self.output = WeightGradient(output)
        self.feature = WeightGradient(feature)
        self.all_reduce = all_reduce

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Run the network forward inside: a block that is computed again in the backward pass is not looked at."""
        self.output.recording = self.feature.recording = True
        try:
            yield
        finally:
            self.output.recording = self.feature.recording = False

    def weights(self, losses: DistillationLosses) -> BalancingWeights:
        """The weights for these losses, whose graph must still be there.

        a_fine = G(task, w_out) / (G(fine, w_out) + 1e-6), a_perc alike, in [0, 1e6];
        a_task = G(coarse, w_feat) / (G(task, w_feat) + 1e-4), in [0, 1e4].
        """
        weights = BalancingWeights(
            self._task_weight(losses),
            self._output_weight(losses.task, losses.fine),
            self._output_weight(losses.task, losses.perceptual),
        )
        self.output.forget()
        self.feature.forget()
        return weights

    def _task_weight(self, losses: DistillationLosses) -> Tensor | None:
        if losses.coarse is None:
            return None
        coarse = self.feature.norm(losses.coarse, self.all_reduce)
        return _ratio(coarse, self.feature.norm(losses.task, self.all_reduce), FEATURE_EPSILON, FEATURE_LIMIT)

    def _output_weight(self, task: Tensor, other: Tensor | None) -> Tensor | None:
        if other is None:
            return None
        pulled = self.output.norm(other, self.all_reduce)
        return _ratio(self.output.norm(task, self.all_reduce), pulled, OUTPUT_EPSILON, OUTPUT_LIMIT)


def linearised(loss: Tensor, apart: Tensor, prediction: Tensor) -> Tensor:
    """A scalar of the loss's value and of its gradient by `prediction`, for which `apart` stood in while the loss was
    worked out. The loss's graph is let go.

    A step needs the gradient of each loss twice, for its norm and for the update: for a loss that is itself a
    network, the second time would cost as much as the first.
    """
    gradient = torch.autograd.grad(loss, apart)[0]
    return loss.detach() + ((prediction - prediction.detach()) * gradient).sum()


def total_loss(
    losses: DistillationLosses, weights: BalancingWeights, shares: LossShares = PUBLISHED_SHARES
) -> Tensor:
    """As published 0.01 L_coarse + a_task (0.5 L_task + 0.01 a_fine L_fine + 0.5 a_perc L_perc); a loss that is not
    there adds nothing, and without L_coarse a_task is 1.
    """
    inner = shares.task * losses.task
    if losses.fine is not None and weights.fine is not None:
        inner = inner + shares.fine * weights.fine * losses.fine
    if losses.perceptual is not None and weights.perceptual is not None:
        inner = inner + shares.perceptual * weights.perceptual * losses.perceptual
    if losses.coarse is None or weights.task is None:
        return inner
    return shares.coarse * losses.coarse + weights.task * inner

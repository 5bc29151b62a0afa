"""Muon for matrices and for convolutions flattened to [out, rest] (Jordan et al. 2024).

torch.optim.Muon takes 2-D parameters only, none that FSDP sharded, and orthogonalises in bfloat16, which CPUs
without that type emulate at a fiftieth of the speed; this one does the same arithmetic without those limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.sharding import sharded_like, whole

# Quintic Newton-Schulz coefficients of the Muon authors: steep at zero, singular values end in about [0.7, 1.2].
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
LEAST_NORM = 1e-7


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: [m, n] -> [m, n] with singular values near 1."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=LEAST_NORM)
    for _ in range(iterations):
        gram = x @ x.T  # [min(m, n), min(m, n)]
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; the update's size is matched to AdamW's (0.2 sqrt(max(m, n)), Moonlight).

    `precision` is that of the orthogonalisation; by default bfloat16 on a GPU and the parameter's own elsewhere.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        precision: torch.dtype | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        # A sharded update is gathered: no part of a matrix can be orthogonalised by itself.
        update = whole(gradient.lerp(momentum, group["momentum"]))
        matrix = update.flatten(1).to(self._precision(parameter))  # [out, rest]
        update = orthogonalise(matrix).reshape(update.shape)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        size = 0.2 * max(matrix.shape) ** 0.5
        parameter.sub_(sharded_like(update, parameter), alpha=group["lr"] * size)

    def _precision(self, parameter: nn.Parameter) -> torch.dtype:
        return self.precision or (torch.bfloat16 if parameter.is_cuda else parameter.dtype)


def split_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(for Muon, for AdamW): weights whose [out, rest] form has at least 8 rows and columns go to Muon, but for
    embeddings; everything else, depthwise kernels and biases included, to AdamW.
    """
    embeddings = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    muon: list[nn.Parameter] = []
    adam: list[nn.Parameter] = []
    for parameter in network.parameters():
        matrix = parameter.ndim in (2, 4) and id(parameter) not in embeddings
        wide = matrix and min(parameter.shape[0], parameter.shape[1:].numel()) >= 8 and parameter.shape[1] > 1
        (muon if wide else adam).append(parameter)
    return muon, adam

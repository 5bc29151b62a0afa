"""Muon: updates whose singular values are near one, and which parameters get them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.small_model import small_unet
from training.muon import Muon, orthogonalise, split_parameters


@pytest.mark.parametrize("shape", [(16, 16), (64, 24), (24, 64), (8, 500)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    if shape[0] == shape[1]:
        matrix += torch.eye(shape[0]) * 1e-2  # keep the smallest singular value off zero
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_orthogonalising_keeps_the_directions() -> None:
    matrix = torch.randn(12, 40, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ orthogonalise(matrix) @ right.T  # diagonal, if the singular vectors are the same
    assert torch.allclose(inner, torch.diag(inner.diagonal()), atol=1e-4)


def test_an_update_is_as_large_as_adams_whatever_the_shape_of_the_convolution() -> None:
    for shape in [(32, 32, 3, 3), (64, 16, 1, 1), (16, 64)]:
        parameter = nn.Parameter(torch.zeros(shape))
        parameter.grad = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        Muon([parameter], lr=0.1).step()
        size = parameter.detach().square().mean().sqrt().item()
        assert 0.6 * 0.02 < size < 1.3 * 0.02  # 0.2 times the rate


def test_muon_finds_the_least_squares_solution() -> None:
    generator = torch.Generator().manual_seed(3)
    wanted = torch.randn(16, 16, generator=generator)
    layer = nn.Linear(16, 16, bias=False)
    optimizer = Muon(layer.parameters(), lr=0.1)
    inputs = torch.randn(64, 16, generator=generator)
    losses = []
    for _ in range(150):
        loss = (layer(inputs) - inputs @ wanted.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]


def test_matrices_and_dense_convolutions_go_to_muon_and_everything_else_to_adam() -> None:
    network = nn.ModuleDict(
        {
            "dense": nn.Conv2d(16, 32, 3),
            "pointwise": nn.Conv2d(16, 16, 1, bias=False),
            "depthwise": nn.Conv2d(16, 16, 3, groups=16, bias=False),
            "linear": nn.Linear(16, 24, bias=False),
            "thin": nn.Linear(16, 4, bias=False),
            "table": nn.Embedding(20, 16),
            "norm": nn.GroupNorm(4, 16),
        }
    )
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    matrices, others = split_parameters(network)
    assert {names[id(p)] for p in matrices} == {"dense.weight", "pointwise.weight", "linear.weight"}
    assert {names[id(p)] for p in others} == set(names.values()) - {names[id(p)] for p in matrices}


def test_every_parameter_of_the_network_has_one_optimizer() -> None:
    network = small_unet()
    matrices, others = split_parameters(network)
    assert sorted(map(id, [*matrices, *others])) == sorted(map(id, network.parameters()))
    assert sum(p.numel() for p in matrices) > sum(p.numel() for p in others)


def test_a_closure_is_refused() -> None:
    with pytest.raises(ValueError, match="closure"):
        Muon([nn.Parameter(torch.zeros(8, 8))], lr=0.1).step(lambda: 0.0)


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (32, 16, 3, 3), (16, 64, 1, 1)])
def test_in_bf16_an_update_is_that_of_pytorchs_muon_on_the_flattened_weight(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(4)
    start = torch.randn(shape, generator=generator)
    ours = nn.Parameter(start.clone())
    theirs = nn.Parameter(start.flatten(1).clone())
    mine = Muon([ours], lr=0.1, weight_decay=0.01, precision=torch.bfloat16)
    reference = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        gradient = torch.randn(shape, generator=generator)
        ours.grad, theirs.grad = gradient, gradient.flatten(1)
        mine.step()
        reference.step()  # type: ignore[no-untyped-call]
        assert torch.equal(ours.flatten(1), theirs)
    assert not torch.allclose(ours, start)

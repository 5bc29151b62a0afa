"""Random weights are the same at every call and leave no layer idle; a model is exported once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.published_network import both_branches
from benchmarks.random_model import SIZES, exporter_digest, random_model, with_random_weights
from benchmarks.reference import SIZE_NAMES
from service.artifacts import MANIFEST
from service.model.config import TINY
from service.model.unet import MoebiusUNet


def test_each_size_of_the_command_line_is_there() -> None:
    assert set(SIZES) == set(SIZE_NAMES)


def test_the_weights_are_drawn_anew_the_same_and_none_is_zero() -> None:
    one, two = (with_random_weights(MoebiusUNet(TINY), seed=1).state_dict() for _ in range(2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert all(value.any() for value in one.values() if value.is_floating_point())
    assert all((value > 0).all() for name, value in one.items() if name.endswith("running_var"))


def test_what_the_network_answers_is_of_the_size_of_noise() -> None:
    network = with_random_weights(MoebiusUNet(TINY), seed=1)
    sample = torch.randn(2, 9, TINY.sample_size, TINY.sample_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answer = network(sample, torch.tensor([900, 900]), both_branches(1, TINY))
    assert 0.05 < float(answer.std()) < 20
    assert float((answer[0] - answer[1]).std()) > 1e-4


def test_a_model_that_is_there_is_not_exported_again(tmp_path: Path) -> None:
    folder = tmp_path / f"random-full-{exporter_digest()[:12]}"
    folder.mkdir()
    (folder / MANIFEST).touch()
    assert random_model("full", tmp_path) == folder


def test_what_another_exporter_made_goes_before_the_export_whose_failure_is_told_here(tmp_path: Path) -> None:
    outdated = tmp_path / "random-huge-of-another-exporter"
    outdated.mkdir()
    with pytest.raises(KeyError, match="huge"):
        random_model("huge", tmp_path)
    assert not outdated.exists()

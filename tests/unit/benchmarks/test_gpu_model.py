"""The modelled GPU takes what the paper tells for one picture, and shares its fixed part among a batch."""

from __future__ import annotations

import pytest

from benchmarks.gpu_model import FEW_STEP, MODELS, GpuModel


@pytest.mark.parametrize("model", MODELS)
def test_a_step_of_one_picture_takes_what_the_paper_tells(model: GpuModel) -> None:
    assert model.step_seconds(1) == pytest.approx(0.02601)
    assert 20 * model.profile().expected_step(1) == pytest.approx(0.52, abs=0.001)


def test_with_nothing_fixed_a_batch_shares_only_the_loops_own_work_and_a_worker_chooses_two_places() -> None:
    assert GpuModel(0.0).step_seconds(8) == pytest.approx(8 * 0.02601)
    assert GpuModel(0.0).profile().cap == 2


def test_with_half_fixed_eight_pictures_take_four_and_a_half_times_as_long_as_one() -> None:
    assert GpuModel(0.5).step_seconds(8) == pytest.approx(4.5 * 0.02601)
    assert GpuModel(0.5).profile().cap == 8


def test_the_autoencoder_takes_as_much_longer_as_it_has_more_work() -> None:
    profile = GpuModel(0.5).profile()
    assert profile.encode_seconds / 0.02601 == pytest.approx(1100 / 632)
    assert profile.decode_seconds / 0.02601 == pytest.approx(2500 / 632)


def test_a_few_step_model_evaluates_one_branch_of_two() -> None:
    assert FEW_STEP.step_seconds(1) == pytest.approx(0.02601 / 2)
    assert (FEW_STEP.profile().steps, FEW_STEP.profile().distilled) == (4, True)

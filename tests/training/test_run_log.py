"""What a run tells on TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.small_training import small_recipe
from training.run_log import RunLog


def test_losses_weights_speed_rates_and_grids_are_on_tensorboard(tmp_path: Path) -> None:
    with RunLog(small_recipe(tmp_path, tmp_path, steps=4), first_step=0) as log:
        for step in range(3):
            log.step(step, {"l_task": 0.5 * step, "a_task": 3.0}, {"gradient_norm": 7.0})
        log.picture(1, np.zeros((4, 8, 3), np.uint8))
    # A killed run had told of step 2 already; the one that goes on from step 2 tells it anew.
    with RunLog(small_recipe(tmp_path, tmp_path, steps=4), first_step=2) as log:
        log.step(2, {"l_task": 9.0, "a_task": 3.0}, {"gradient_norm": 7.0})
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"l_task", "a_task", "gradient_norm", "images_per_second"}
    assert [(event.step, event.value) for event in board.Scalars("l_task")] == [(0, 0.0), (1, 0.5), (2, 9.0)]
    assert [event.step for event in board.Images("samples")] == [1]


def test_tensorboard_can_be_left_out(tmp_path: Path) -> None:
    with RunLog(small_recipe(tmp_path, tmp_path, steps=4, tensorboard=False), first_step=0) as log:
        log.step(0, {"l_task": 0.5}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"losses.csv"}

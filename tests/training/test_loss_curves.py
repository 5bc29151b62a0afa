"""Reading losses.csv and drawing it, whatever a run left in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot

from training.loss_curves import draw_curves, read_losses, running_mean


def write(folder: Path, text: str) -> Path:
    path = folder / "losses.csv"
    path.write_text(text)
    return path


def test_columns_are_told_apart_by_their_names(tmp_path: Path) -> None:
    curves = read_losses(write(tmp_path, "step,coarse,a_task,images/s\n0,1.5,2,3\n1,1.25,4,5\n"))
    assert curves.steps.tolist() == [0, 1]
    assert {name: column.tolist() for name, column in curves.losses.items()} == {"coarse": [1.5, 1.25]}
    assert list(curves.weights) == ["a_task"]
    assert list(curves.speeds) == ["images/s"]
    assert curves.steps_run == 2


def test_a_row_cut_off_is_left_out_and_a_cell_without_a_number_is_nan(tmp_path: Path) -> None:
    curves = read_losses(write(tmp_path, "step,a,b\n0,nan,1\n1,,2\n2,3"))
    assert curves.steps.tolist() == [0, 1]
    assert np.isnan(curves.columns["a"]).all()
    assert curves.columns["b"].tolist() == [1, 2]


def test_a_run_without_a_step_has_no_rows(tmp_path: Path) -> None:
    assert read_losses(write(tmp_path, "step,a\n")).steps_run == 0
    assert read_losses(write(tmp_path, "")).steps_run == 0


def test_the_running_mean_is_shorter_at_the_start_and_passes_over_what_is_not_finite() -> None:
    assert running_mean([1, 2, 3, 4], 2).tolist() == [1, 1.5, 2.5, 3.5]
    means = running_mean([1, np.nan, 3, np.inf, np.nan], 2)
    assert means[:4].tolist() == [1, 1, 3, 3]
    assert np.isnan(means[4])


def test_only_positive_curves_are_drawn_on_a_logarithmic_scale() -> None:
    for values, scale in (([1.0, 2.0], "log"), ([0.0, 2.0], "linear"), ([np.nan, np.nan], "linear")):
        figure, axes = pyplot.subplots()
        draw_curves(axes, np.arange(2.0), {"a": np.array(values)})
        assert axes.get_yscale() == scale
        pyplot.close(figure)

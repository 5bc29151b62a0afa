"""Every form is made, timed and compared with fp32, or said why it is not."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.cpu_forms import FULL
from benchmarks.cpu_precision import OPENVINO, CpuPrecisionReport, FormRow, markdown, measure


@pytest.fixture(scope="module")
def report(small_model: Path) -> CpuPrecisionReport:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOEBIUS_MODEL_STORE", str(small_model.parent))
        return measure(
            Namespace(model=small_model.name, rounds=1, crops=[1, 2], steps=2, most=1, openvino=None)
        )


def row_of(report: CpuPrecisionReport, name: str) -> FormRow:
    return next(row for row in report.rows if row.name == name)


def test_what_is_served_is_compared_with_itself(report: CpuPrecisionReport) -> None:
    row = row_of(report, FULL)
    assert row.times_fp32 is not None
    assert [spread.median for spread in row.times_fp32.values()] == [1, 1]
    assert (row.step_difference, row.levels, row.worst_levels) == (0, 0, 0)


@pytest.mark.parametrize("name", ["fp16", "int8, dynamic", "int8, static"])
def test_other_numbers_are_another_picture(report: CpuPrecisionReport, name: str) -> None:
    row = row_of(report, name)
    assert row.obstacle is None
    assert row.step_difference is not None
    assert 0 < row.step_difference < 1
    assert row.levels


def test_other_options_are_the_same_numbers_and_no_pictures_are_taken(report: CpuPrecisionReport) -> None:
    for name in (
        "fp32, threads that sleep between nodes",
        "fp32, no arena",
        "fp32, arena shrunk after a step",
    ):
        row = row_of(report, name)
        assert (row.step_difference, row.levels) == (0, None)


def test_what_is_not_here_is_told_with_the_reason(report: CpuPrecisionReport) -> None:
    assert "onnxruntime-openvino" in str(row_of(report, OPENVINO).obstacle)
    text = markdown(report, "the command")
    assert "not measured: no Python with onnxruntime-openvino" in text
    assert all(f"| {row.name} |" in text for row in report.rows)

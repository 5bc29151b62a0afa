"""The line is the least squares one, and says how far the worst point is from it."""

from __future__ import annotations

import pytest

from benchmarks.line_fit import Line


def test_points_on_a_line_are_one() -> None:
    line = Line.through({1.0: 0.015, 2.0: 0.020, 10.0: 0.060})
    assert line is not None
    assert line.start == pytest.approx(0.010)
    assert line.slope == pytest.approx(0.005)
    assert line.worst == pytest.approx(0.0, abs=1e-9)
    assert line.text("hole").startswith(
        "Time = 10.0 ms + 5.0 ms x hole, R^2 1.0000; the worst point is 0% off: a line"
    )


def test_a_curve_is_told_by_its_worst_point() -> None:
    line = Line.through({1.0: 1.0, 2.0: 4.0, 3.0: 9.0, 4.0: 16.0})
    assert line is not None
    assert line.worst == pytest.approx(1.0)  # seconds = 5 n - 5: nothing where there is 1
    assert line.determination == pytest.approx(1 - 4 / 129)
    assert "- 5,000.0" not in line.text("n")
    assert line.text("n").startswith("Time = -5,000.0 ms + 5,000.0 ms x n")
    assert "100% off: no line" in line.text("n")


def test_what_does_not_grow_is_a_flat_line() -> None:
    line = Line.through({1.0: 0.5, 2.0: 0.5, 3.0: 0.5})
    assert line is not None
    assert line.slope == pytest.approx(0.0)
    assert "a line within 10%" in line.text("step")


def test_two_points_are_too_few() -> None:
    assert Line.through({1.0: 1.0, 2.0: 2.0}) is None

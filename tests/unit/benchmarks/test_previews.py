"""What the benchmark of previews says of its runs."""

from __future__ import annotations

import pytest

from benchmarks.measuring import Spread
from benchmarks.previews import WITH_ALL, WITHOUT, PreviewsReport, Run, _row, markdown


def test_previews_are_compared_with_none_round_by_round() -> None:
    without = [Run([0.100, 0.120, 0.100], 2.0, []), Run([0.200, 0.200, 0.300], 4.0, [])]
    shown = [Run([0.110, 0.110, 0.150], 2.2, [9000, 9500]), Run([0.210, 0.190, 0.210], 4.0, [8000])]
    rows = [_row(WITHOUT, without, without), _row(WITH_ALL, shown, without)]
    assert (rows[1].gap_ratio.least, rows[1].gap_ratio.most) == pytest.approx((1.05, 1.1))
    assert rows[1].watched_ratio.least == 1.0
    report = PreviewsReport("a machine", "it", 2, 20, Spread(1, 1.5, 2), Spread(8000, 9000, 9500), rows)
    text = markdown(report, "a command")
    assert "9.0 (8.0 - 9.5) kB" in text
    assert "| every step | 160.0 (110.0 - 210.0) |" in text
    assert text.count("| 1 | 1 |") == 1

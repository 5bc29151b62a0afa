"""What the overlap benchmark says of its runs."""

from __future__ import annotations

from benchmarks.overlap import OverlapReport, markdown, rows_of
from benchmarks.overlap_run import Overlap, Run

GAPS = [0.010] * 99


def runs_of(device: str) -> dict[tuple[str, Overlap], list[Run]]:
    return {
        (device, "off"): [Run([*GAPS, 0.100], [2.0], 10.0), Run([*GAPS, 0.300], [4.0], 10.0)],
        (device, "on"): [Run([*GAPS, 0.010], [1.0], 12.0), Run([*GAPS, 0.010], [2.0], 11.0)],
    }


def test_both_settings_are_compared_round_by_round() -> None:
    off, on = rows_of(["device"], runs_of("device"))
    assert (off.overlap, off.throughput_ratio.median, off.newcomer_p95_ratio.median) == ("off", 1.0, 1.0)
    assert (on.newcomer_p95_ratio.least, on.newcomer_p95_ratio.most) == (0.5, 0.5)
    assert (on.throughput_ratio.least, on.throughput_ratio.most) == (1.1, 1.2)
    assert on.gap_p99.median < off.gap_p99.median


def test_the_table_has_a_row_for_each_setting_and_no_ratio_where_nothing_is_compared() -> None:
    rows = list(rows_of(["device"], runs_of("device")))
    text = markdown(OverlapReport("a machine", 2, ["device: it"], rows), "a command")
    assert "| device | off | 10.0 (10.0 - 10.0) |" in text
    assert "| 11.50 (11.00 - 12.00) |" in text
    assert text.count("| 1 | 1 | 1 |") == 1

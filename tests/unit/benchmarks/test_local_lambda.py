"""All ways to compute a position term agree, on both runtimes, and the table says which is fastest."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.local_lambda import FormRow, LocalLambdaReport, levels, markdown
from benchmarks.measuring import Spread
from benchmarks.position_forms import CPU_RUNTIMES, PUBLISHED, Level, calls


@pytest.mark.parametrize("runtime", CPU_RUNTIMES)
def test_all_ways_compute_the_same(runtime: str) -> None:
    ways = calls(Level(side=16, width=4, heads=2, kernel=5), runtime, batch=2, threads=1)
    assert list(ways) == [
        PUBLISHED,
        "convolution, then products",
        "tiles of 2",
        "tiles of 4",
        "tiles of 8",
        "dense",
    ]
    expected = ways[PUBLISHED]()
    assert expected.shape == (2, 256, 8)
    for call in ways.values():
        np.testing.assert_allclose(call(), expected, rtol=1e-4, atol=1e-5)


def test_the_published_network_has_three_levels() -> None:
    sizes = [(level.side, level.width, level.heads, level.kernel) for level in levels("full")]
    assert sizes == [(64, 40, 8, 15), (32, 80, 8, 15), (16, 160, 8, 15)]


def test_the_table_marks_the_fastest() -> None:
    def row(form: str, seconds: float, *, is_fastest: bool) -> FormRow:
        same = Spread.of([seconds])
        return FormRow("full", 64, 40, "torch, cpu", form, same, Spread.of([0.4 / seconds]), 3e-7, is_fastest)

    report = LocalLambdaReport(
        hardware="a processor",
        gpu="none",
        threads=2,
        rounds=5,
        batch=2,
        rows=[row(PUBLISHED, 0.4, is_fastest=False), row("tiles of 4", 0.1, is_fastest=True)],
    )
    text = markdown(report, "python -m benchmarks local_lambda")
    assert (
        "| 40 | torch, cpu | tiles of 4 | 100.0 (100.0 - 100.0) | 4.00 (4.00 - 4.00) | 3e-07 | fastest |"
        in text
    )
    assert text.count("fastest |") == 1

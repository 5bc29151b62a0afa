"""Scores as Markdown."""

from __future__ import annotations

from typing import Any

from training.tables import before_and_after_table, change, comparison, score_table


def row(method: str, kind: str = "all", **measures: Any) -> dict[str, Any]:
    standard = {"psnr": 20.0, "ssim": 0.5, "feature_distance": 0.3, "frechet": 5.0}
    return {"method": method, "kind": kind, "forwards": 4, "seconds": 0.5} | standard | measures


def test_the_best_of_each_measure_is_bold_and_only_among_the_same_holes() -> None:
    rows = [row("a", psnr=21.0, feature_distance=0.4), row("b"), row("a", "boxes", psnr=9.0)]
    lines = score_table(rows).splitlines()
    assert lines[2] == "| all | a | **21.00** | **0.500** | 0.4000 | **5.00** | 4 | 0.50 |"
    assert lines[3] == "| all | b | 20.00 | **0.500** | **0.3000** | **5.00** | 4 | 0.50 |"
    assert "**9.00**" in lines[4]


def test_a_measure_that_is_not_there_is_a_dash() -> None:
    lines = score_table([row("a", frechet=None), row("b", frechet=2.0)]).splitlines()
    assert "| - |" in lines[2]
    assert "**2.00**" in lines[3]
    assert "| - |" in score_table([row("a", frechet=None)])


def test_every_line_of_the_tables_has_as_many_cells_as_its_head() -> None:
    rows = [row("a"), row("a", "boxes", frechet=None)]
    for table in (score_table(rows), before_and_after_table(rows, rows)):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_before_and_after_stand_side_by_side_with_the_change() -> None:
    table = before_and_after_table([row("old", feature_distance=0.4)], [row("new", feature_distance=0.3)])
    assert "| 0.4000 | 0.3000 | -25.0 % |" in table


def test_a_change_from_nothing_is_a_dash() -> None:
    assert change(0.0, 1.0) == change(None, 1.0) == change(1.0, None) == "-"


def test_the_comparison_says_by_how_much_the_distance_is_below_or_above() -> None:
    text = comparison([row("ours"), row("a", feature_distance=0.4), row("b", feature_distance=0.2)], "ours")
    assert text.splitlines() == [
        "- feature distance to the true photograph 25.0 % below a's",
        "- feature distance to the true photograph 50.0 % above b's",
    ]

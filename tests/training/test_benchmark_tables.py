"""The paper's tables with our numbers below the published ones."""

from __future__ import annotations

from pathlib import Path

from training.benchmark import BenchmarkRecipe
from training.benchmark_tables import SetScore, benchmark_page, measures_table, paper_table
from training.published import PUBLISHED, SETS
from training.recipe_file import read_recipe


def row(name: str, fid: float | None, lpips: float | None) -> SetScore:
    return SetScore(name, "ours", 10, 4, fid, None, lpips, 20.0, 0.5, 0.3, 4.0, 0.1)


def test_ours_stands_below_the_published_numbers_in_the_papers_columns() -> None:
    lines = paper_table([row("CelebA-HQ 512", 6.0, 0.2), row("Places2 test", None, 0.3)]).splitlines()
    assert lines[0].startswith("| method | Places2 test FID | Places2 test LPIPS | Places2 large FID |")
    published, flux, ours = (line.strip("| ").split(" | ") for line in lines[2:])
    assert published[:7] == ["Moebius, published", "9.48", "0.207", "2.35", "0.173", "0.92", "0.091"]
    assert published[7:] == ["-", "-", "5.39", "0.122", "8.15", "0.231"]
    assert flux[9:11] == ["10.13", "0.141"]
    assert ours[:3] == ["ours", "-", "0.300"]
    assert ours[9:11] == ["6.00", "0.200"]


def test_a_set_of_the_users_own_gets_columns_behind_the_papers() -> None:
    table = paper_table([row("my photos", 6.0, 0.2)])
    assert table.splitlines()[0].endswith(
        "| FFHQ 256 FID | FFHQ 256 LPIPS | my photos FID | my photos LPIPS |"
    )


def test_every_line_has_as_many_cells_as_its_head() -> None:
    rows = [row("my photos", None, 0.2), row("FFHQ 256", 6.0, None)]
    for table in (paper_table(rows), measures_table(rows)):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_page_says_what_is_missing() -> None:
    page = benchmark_page([row("my photos", None, 0.2)], {"FID": "no torch-fidelity"}, 2)
    assert "- not available: FID: no torch-fidelity" in page
    assert "- 2 pairs were skipped: see skipped.tsv" in page


def test_the_recipe_of_the_papers_tables_names_the_papers_sets() -> None:
    path = Path(__file__).resolve().parents[2] / "training" / "recipes" / "benchmark.yaml"
    recipe = read_recipe(path, "benchmark", BenchmarkRecipe)
    assert tuple(one.name for one in recipe.sets) == SETS
    assert {known.set for known in PUBLISHED} <= set(SETS)

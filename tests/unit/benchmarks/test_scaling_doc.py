"""docs/scaling.md quotes the committed results as they are, and every file that it leads to is there."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from benchmarks import capacity

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
QUOTE = re.compile(r"<!-- from benchmarks/results/(\S+) -->\n((?:\|.*\n)+)")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def test_quoted_tables_are_lines_of_the_results() -> None:
    quotes = QUOTE.findall(DOCUMENT)
    assert len(quotes) == DOCUMENT.count("<!-- from ") > 0
    for name, table in quotes:
        lines = (RESULTS / name).read_text(encoding="utf-8").splitlines()
        assert [line for line in table.splitlines() if line not in lines] == []


def test_the_table_of_loads_is_what_was_simulated() -> None:
    rows = json.loads((RESULTS / "simulation.json").read_text(encoding="utf-8"))["rows"]
    first = rows[0]["cell"]["curve"]
    seconds = {key_of(row["cell"]): latency(row) for row in rows if row["cell"]["curve"] == first}
    table = DOCUMENT.partition("<!-- simulated -->\n")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) == 20
    for line in table:
        workers, load, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        wanted = [
            seconds.get((int(workers.replace(",", "")), int(load.rstrip("%")), batching, kind), "")
            for batching, kind in (("step", "plain"), ("request", "plain"), ("step", "emptiest"))
        ]
        assert cells == wanted, line


def key_of(cell: dict[str, Any]) -> tuple[int, int, str, str]:
    return cell["workers"], round(cell["load"] * 100), cell["batching"], cell["kind"]


def latency(row: dict[str, Any]) -> str:
    return f"{row['latency']['p50']:.2f} / {row['latency']['p95']:.2f}"


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in LINK.findall(DOCUMENT) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).resolve().exists()] == []


def test_no_placeholder_is_left() -> None:
    assert re.findall(r"@[A-Z0-9]+@", DOCUMENT) == []


def test_the_capacity_tables_are_those_of_the_committed_results() -> None:
    parser = argparse.ArgumentParser()
    capacity.add_options(parser)
    report = capacity.measure(parser.parse_args([]))
    kept = (RESULTS / "capacity.md").read_text(encoding="utf-8").splitlines()
    told = capacity.markdown(report, "python -m benchmarks capacity").splitlines()
    assert told == kept[: len(told)]

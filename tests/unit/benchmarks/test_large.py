"""A large photograph is measured in a process of its own, and told with its crops, seconds, memory and seam."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from benchmarks.large import LargeReport, markdown
from benchmarks.large_case import ONE_PASS, OURS, LargeCase, measured
from benchmarks.seam_measures import Seam

CASE = LargeCase(4096, "huge", OURS, 37, 6.93, 3.61, 241.2, 667.4, Seam(14.3, 5.2, 0.04))


def test_a_case_survives_the_way_out_of_its_process() -> None:
    assert LargeCase.parse(json.dumps(asdict(CASE))) == CASE


def test_the_report_has_a_line_for_each_case() -> None:
    text = markdown(LargeReport("a model", "hardware", 2, [CASE, replace(CASE, way=ONE_PASS)]), "a command")
    assert "| 4096 x 4096 | huge | ours | 37 | 6.9 | 3.6 | 241 | 667 | 14.30 | 5.2 | 0.04 |" in text
    assert ONE_PASS in text


@pytest.mark.parametrize(("holes", "crops"), [("small", 1), ("huge", 1)])
def test_a_case_runs_on_the_built_in_model_and_counts_what_it_took(holes: str, crops: int) -> None:
    case = measured(600, holes, OURS, "moebius-nano-4step", 1)
    assert case.crops == crops
    assert 0 < case.coding_seconds < case.seconds
    assert case.before < case.most
    assert case.seam.tone > 0

"""A request's time is told part by part, and the parts are all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.e2e import Upload, inside_stages
from benchmarks.e2e_report import E2eReport, E2eRow, markdown
from benchmarks.measuring import Spread
from benchmarks.photographs import mask_with_holes, photograph
from benchmarks.timed_request import TimedRequest

ROOT = Path(__file__).resolve().parents[3]


def test_other_is_what_no_part_tells() -> None:
    assert TimedRequest(100.0, 10.0, 5.0, {"queue": 1.0, "denoise": 60.0}, 7).other == pytest.approx(24.0)


def test_what_a_stage_contains_is_less_than_decoding_and_composing_can_take() -> None:
    upload = Upload("PNG", 256, photograph(256, "PNG"), mask_with_holes(256, 32))
    inside = inside_stages(upload, 64)
    assert set(inside) == {"regions", "compose"}
    assert all(0 < milliseconds < 60_000 for milliseconds in inside.values())


def test_the_report_has_a_column_for_each_part_and_a_table_of_what_they_contain() -> None:
    one = Spread(1.0, 1.0, 1.0)
    row = E2eRow(
        "PNG", 512, 1234, 999, one.times(4), {"upload": one, "other": one.times(3)}, {"compose": one}
    )
    text = markdown(E2eReport("a machine", "m", "dummy fp32, cpu", 3, None, [row]), "the command")
    assert "|  | upload, bytes | answer, bytes | in all | upload | other |" in text
    assert "| PNG 512 x 512 | 1,234 | 999 | 4 (4 - 4) | 1.0 (1.0 - 1.0) | 3.0 (3.0 - 3.0) |" in text
    assert "compose of encode" in text
    assert "the model's own number of steps" in text


@pytest.mark.slow
def test_a_whole_service_is_asked_over_http(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "e2e",
        "--backend",
        "dummy",
        "--rounds",
        "1",
        "--steps",
        "2",
    ]
    command += ["--sides", "160", "--threads", "1", "--output", str(tmp_path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    rows = json.loads((tmp_path / "e2e.json").read_text())["rows"]
    assert [(row["format"], row["side"]) for row in rows] == [("PNG", 160), ("JPEG", 160)]
    for row in rows:
        parts = {part: spread["median"] for part, spread in row["parts"].items()}
        assert next(iter(parts)) == "upload"
        assert {
            "queue",
            "decode",
            "vae_encode",
            "denoise",
            "vae_decode",
            "encode",
            "download",
            "other",
        } < set(parts)
        assert sum(parts.values()) == pytest.approx(row["total"]["median"])
        assert parts["upload"] > 0
        assert parts["denoise"] > 0

"""The committed dashboards against those that scripts/dashboards gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import generate_dashboards


def test_the_committed_dashboards_are_what_the_modules_give() -> None:
    assert generate_dashboards.differences() == []


def test_a_changed_a_missing_and_a_left_over_file_are_found_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_dashboards, "FOLDER", tmp_path)
    generate_dashboards.write()
    assert generate_dashboards.differences() == []
    (tmp_path / "jobs.json").write_text("{}")
    (tmp_path / "service.json").unlink()
    (tmp_path / "old.json").write_text("{}")
    assert generate_dashboards.differences() == ["jobs.json", "old.json", "service.json"]
    generate_dashboards.write()
    assert generate_dashboards.differences() == []

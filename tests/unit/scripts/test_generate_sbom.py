"""The bill of materials against what an install should bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.check_constraints import CONSTRAINTS, pins
from scripts.distributions import OURS, reachable
from scripts.generate_sbom import complaints


@pytest.fixture
def components() -> dict[str, str]:
    pinned = pins(CONSTRAINTS.read_text("utf-8"))[0]
    return {name: pinned[name] for name in reachable(()) - {OURS}}


def told(components: dict[str, str], folder: Path) -> list[str]:
    listed = [{"name": name, "version": version} for name, version in components.items()]
    path = folder / "edge.cdx.json"
    path.write_text(json.dumps({"components": listed}), "utf-8")
    return complaints(path, ())


def test_a_whole_document_is_accepted(components: dict[str, str], tmp_path: Path) -> None:
    assert told(components, tmp_path) == []


def test_a_package_that_is_missing_is_named(components: dict[str, str], tmp_path: Path) -> None:
    del components["fastapi"]
    assert told(components, tmp_path) == ["edge.cdx.json lacks fastapi"]


def test_a_package_that_nothing_requires_is_named(components: dict[str, str], tmp_path: Path) -> None:
    pinned = pins(CONSTRAINTS.read_text("utf-8"))[0]
    assert told(components | {"torch": pinned["torch"]}, tmp_path) == [
        "edge.cdx.json has torch, which nothing requires"
    ]


def test_a_version_that_is_not_the_pinned_one_is_named(components: dict[str, str], tmp_path: Path) -> None:
    assert told(components | {"fastapi": "0.1"}, tmp_path) == ["edge.cdx.json has fastapi 0.1"]

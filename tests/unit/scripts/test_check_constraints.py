"""Whether constraints.txt pins what an install brings, and whether a wrong file is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_constraints
from scripts.check_constraints import CONSTRAINTS, EVERYTHING, TOOLS, complaints, pins
from scripts.distributions import declared, reachable
from scripts.licence_policy import LicencePolicy


def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> list[str]:
    text = CONSTRAINTS.read_text("utf-8")
    assert old in text
    path = tmp_path / "constraints.txt"
    path.write_text(text.replace(old, new, 1), "utf-8")
    monkeypatch.setattr(check_constraints, "CONSTRAINTS", path)
    return complaints()


def test_all_that_an_install_brings_is_pinned_as_it_is_installed() -> None:
    assert complaints() == []


def test_every_pin_is_for_something_that_some_install_brings() -> None:
    needed = (
        reachable(EVERYTHING, check_constraints.ENVIRONMENTS) | {*TOOLS} | LicencePolicy.load().cuda.keys()
    )
    assert pins(CONSTRAINTS.read_text("utf-8"))[0].keys() - needed == set()


def test_a_missing_pin_is_named_with_the_line_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = pins(CONSTRAINTS.read_text("utf-8"))[0]["starlette"]
    (complaint,) = changed(tmp_path, monkeypatch, f"starlette=={pinned}\n", "")
    assert complaint.endswith(f"add the line starlette=={pinned}")


def test_a_pin_that_only_another_python_needs_may_not_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (complaint,) = changed(tmp_path, monkeypatch, "async-timeout==", "# async-timeout==")
    assert "add the line async-timeout==" in complaint


def test_a_pin_of_another_version_than_the_installed_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (complaint,) = changed(tmp_path, monkeypatch, "\nstarlette==", "\nstarlette==0.1.")
    assert complaint.startswith("starlette ")
    assert "is pinned: change one of them" in complaint


@pytest.mark.parametrize("line", ["six>=1", "six==1.16.0", "six==1.17.0; python_version < '4'"])
def test_a_line_that_is_no_single_exact_pin_is_refused(line: str) -> None:
    assert len(pins(f"# comment\n\nsix==1.17.0\n{line}\n")[1]) == 1


def test_an_extra_brings_those_that_it_names() -> None:
    assert {one.name for one in declared(["export"])} >= {"torch", "onnx"}
    assert "torch" not in {one.name for one in declared(["cpu"])}


def test_the_edge_is_installed_without_a_runtime() -> None:
    assert reachable(()) & {"torch", "onnx", "onnxruntime", "onnxruntime-gpu"} == set()

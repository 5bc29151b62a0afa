"""Makes THIRD_PARTY.md: what the images and the tools are made of, under which licences. `--check` compares instead.

Refuses a package or library whose licence scripts/licences.toml does not allow.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.check_constraints import CONSTRAINTS, pins
from scripts.distributions import OURS, ROOT, Environment, installed, reachable
from scripts.licence_policy import VAGUE, LicencePolicy

TARGET = ROOT / "THIRD_PARTY.md"
# The list is of the images, and the same whoever makes it: 3.11.2, say, has one package more.
PYTHON_OF_IMAGES: Environment = {"python_version": "3.11", "python_full_version": "3.11.14"}
# libscipy_openblas64_-32a4b2a6.so, libgfortran-040039e1-0352e75f.so.5.0.0
LIBRARY = re.compile(r"(?P<name>\w+?)(-r\d)?(-[0-9a-f]{8})+([.\d]*)\.so")
BEGINNING = """# Third-party packages and their licences

Made by `make licences` from what is installed on Linux x86_64; not to be edited. Licences are SPDX expressions. What is
allowed stands in [scripts/licences.toml](scripts/licences.toml); what is no package (weights, photographs, base images)
in [docs/licences.md](docs/licences.md). Wheels bring their licence texts along, mostly in `.dist-info`, so that
every image holds the texts of what it holds; flatbuffers' does not, whose text (Apache-2.0) is our own LICENSE's.
"""
PACKAGE_HEAD = "| package | version | licence |\n|---|---|---|\n"
LIBRARY_HEAD = "| wheel | library | licence |\n|---|---|---|\n"

Row = tuple[str, str, str]
# Title, head of the table, rows.
Part = tuple[str, str, list[Row]]


@dataclass(frozen=True)
class Section:
    """A part of the document: what an install with `extras` has that none before it had."""

    title: str
    extras: tuple[str, ...]


SECTIONS = (
    Section("In every image", ()),
    Section("In worker-cpu besides", ("cpu",)),
    Section("In worker-gpu besides, and for `moebius models pull`", ("export",)),
    Section("For training, in no image", ("train",)),
    Section("For development, in no image", ("cpu", "export", "train", "dev")),
)
GPU_SECTION = "In worker-gpu besides, from CUDA"
LIBRARY_SECTION = "Shared libraries inside wheels"


def rows(names: Iterable[str], policy: LicencePolicy) -> list[Row]:
    """Name, version and licence of installed distributions."""
    found = (installed(name) for name in sorted(names) if name != OURS)
    return [(one.name, Version(one.version).public, policy.licence_of(one)) for one in found if one]


def libraries(names: Iterable[str], policy: LicencePolicy) -> list[Row]:
    """Wheel, library and licence of the shared libraries that these distributions' wheels carry along."""
    found: set[Row] = set()
    for folder in Path(str(distribution(OURS).locate_file(""))).glob("*.libs"):
        wheel = canonicalize_name(folder.stem)
        names_here = {match["name"] for file in folder.iterdir() if (match := LIBRARY.match(file.name))}
        if wheel in names:
            found |= {(wheel, name, policy.libraries.get(name, VAGUE)) for name in names_here}
    return sorted(found)


def sections(policy: LicencePolicy) -> Iterator[Part]:
    """Title, head of the table and rows of each part of the document."""
    listed: set[str] = set()
    for section in SECTIONS:
        # PyTorch brings CUDA along or not, by where it was taken from.
        names = reachable(section.extras, (PYTHON_OF_IMAGES,)) - listed - policy.cuda.keys()
        listed |= names
        yield section.title, PACKAGE_HEAD, rows(names, policy)
    pinned = pins(CONSTRAINTS.read_text("utf-8"))[0]
    cuda = [(name, pinned[name], licence) for name, licence in policy.cuda.items()]
    yield GPU_SECTION, PACKAGE_HEAD, cuda
    yield LIBRARY_SECTION, LIBRARY_HEAD, libraries(listed, policy)


def document(policy: LicencePolicy, parts: list[Part]) -> str:
    """The text of THIRD_PARTY.md."""
    texts = [BEGINNING]
    for title, head, lines in parts:
        texts.append(f"## {title}\n\n{head}" + "".join(f"| {' | '.join(line)} |\n" for line in lines))
    used = "".join(
        f"- {name}, {one['licence']}: {one['reason']}\n" for name, one in policy.exceptions.items()
    )
    return "\n".join([*texts, f"## Exceptions\n\n{used}"])


def refused(policy: LicencePolicy, parts: list[Part]) -> Iterator[str]:
    """Complaints about packages and libraries whose licence is unclear or not allowed."""
    for title, head, lines in parts:
        if title == GPU_SECTION:
            continue  # listed with NVIDIA's terms for what they are; licences.toml says who has to read them
        for first, second, licence in lines:
            name = second if head == LIBRARY_HEAD else canonicalize_name(first)
            if not policy.permits(name, licence):
                yield (
                    f"{name} has the licence {licence!r}, which is not allowed ({title}): use another package, or "
                    "write in scripts/licences.toml what its licence file says, or an exception with its reason"
                )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare only; exit with 1 where something is wrong"
    )
    check, policy = parser.parse_args().check, LicencePolicy.load()
    parts = list(sections(policy))
    complaints, text = list(refused(policy, parts)), document(policy, parts)
    if not check:
        TARGET.write_text(text, "utf-8")
    elif text != TARGET.read_text("utf-8"):
        complaints.append(f"{TARGET.name} is not what is installed: run make licences")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())

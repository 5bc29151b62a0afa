"""Whether constraints.txt pins all that an install brings, at the versions that are installed here.

`--resolve` asks uv instead, for the platforms that we serve on and for GPUs, and names pins that nothing needs;
uv asks the package registry.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.distributions import HERE, ROOT, Environment, installed, project, reachable

CONSTRAINTS = ROOT / "constraints.txt"
GPU = "gpu"
# What builds our wheel and installs the rest, which no requirement names.
TOOLS = ("uv", "hatchling", "editables", "trove-classifiers")
OWN_SOURCES = ("UV_FIND_LINKS", "UV_TORCH_BACKEND")
# Where a marker may say otherwise than here.
ENVIRONMENTS: tuple[Environment, ...] = (
    HERE,
    {"python_version": "3.11", "python_full_version": "3.11.0"},
    {"python_version": "3.13", "python_full_version": "3.13.0"},
    {"platform_machine": "aarch64"},
    {"platform_machine": "arm64", "sys_platform": "darwin", "platform_system": "Darwin"},
)


@dataclass(frozen=True)
class Target:
    """An install that shall be reproducible: which extras, for which Python and platform."""

    extras: tuple[str, ...]
    python: str
    platform: str


EVERYTHING = ("cpu", "export", "train", "dev")
TARGETS = (
    Target(EVERYTHING, "3.11", "x86_64-manylinux_2_28"),
    Target(EVERYTHING, "3.13", "x86_64-manylinux_2_28"),
    Target(EVERYTHING, "3.13", "aarch64-manylinux_2_28"),
    Target(EVERYTHING, "3.13", "aarch64-apple-darwin"),
    Target((GPU, "export"), "3.11", "x86_64-manylinux_2_28"),
)


def pins(text: str) -> tuple[dict[str, str], list[str]]:
    """Versions by canonical name, and complaints about lines that pin nothing, or again."""
    found: dict[str, str] = {}
    complaints: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement = Requirement(line)
        name, specifiers = canonicalize_name(requirement.name), list(requirement.specifier)
        if [one.operator for one in specifiers] != ["=="] or requirement.marker or requirement.extras:
            complaints.append(f"{line}: write name==version, nothing more")
        elif name in found:
            complaints.append(f"{line}: {name} is pinned twice; keep one line")
        else:
            found[name] = specifiers[0].version
    return found, complaints


def unpinned(pinned: dict[str, str]) -> Iterator[str]:
    """Complaints about what is installed, or would be elsewhere, but not as pinned."""
    extras = sorted(set(project()[1]) - {GPU})
    for name in sorted(reachable(extras, ENVIRONMENTS)):
        found = installed(name)
        version = Version(found.version).public if found else "VERSION"
        if name not in pinned:
            yield f"an install brings {name}, which is not pinned: add the line {name}=={version}"
        elif found and version != pinned[name]:
            yield f"{name} {version} is installed, {pinned[name]} is pinned: change one of them"


def resolved(target: Target) -> dict[str, str]:
    """Versions by name that an install for the target brings. SystemExit with uv's words where there is none."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml", "--quiet"]
    command += ["--no-header", "--no-annotate", "--constraint", str(CONSTRAINTS)]
    command += [f"--extra={extra}" for extra in target.extras]
    command += [f"--python-version={target.python}", f"--python-platform={target.platform}"]
    # Where we take PyTorch for CPUs from elsewhere, others get the one with CUDA.
    environment = {name: value for name, value in os.environ.items() if name not in OWN_SOURCES}
    environment["MACOSX_DEPLOYMENT_TARGET"] = "14.0"  # ONNX Runtime's wheels ask for it
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{target} can't be resolved with {CONSTRAINTS.name}:\n{finished.stderr}")
    return {name: str(Version(version).public) for name, version in pins(finished.stdout)[0].items()}


def unresolved(pinned: dict[str, str]) -> Iterator[str]:
    """Complaints about what uv would install but is not pinned, and about pins that no install needs."""
    needed = set(TOOLS) | reachable(EVERYTHING, ENVIRONMENTS)
    missing: dict[str, str] = {}
    for target in TARGETS:
        versions = resolved(target)
        needed |= versions.keys()
        missing |= {name: version for name, version in versions.items() if name not in pinned}
    for name, version in sorted(missing.items()):
        yield f"an install elsewhere brings {name}, which is not pinned: add the line {name}=={version}"
    for name in sorted(pinned.keys() - needed):
        yield f"{name} is pinned, but no install brings it: remove the line"


def complaints(*, resolve: bool = False) -> list[str]:
    """All that is wrong with the file, one sentence each."""
    pinned, found = pins(CONSTRAINTS.read_text("utf-8"))
    return found + list(unpinned(pinned)) + (list(unresolved(pinned)) if resolve else [])


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolve", action="store_true", help="ask uv too, for other platforms and for GPUs")
    found = complaints(resolve=parser.parse_args().resolve)
    for complaint in found:
        print(f"{CONSTRAINTS.name}: {complaint}", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

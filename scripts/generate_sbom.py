"""Writes what the images hold of packages as CycloneDX JSON: out/sbom/edge.cdx.json and out/sbom/worker-cpu.cdx.json.

Installs each image's packages into an environment of its own, as the Dockerfile does, lets cyclonedx-py read that, and
compares the components with constraints.txt. The last document, which holds all that the others do, is validated too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.check_constraints import CONSTRAINTS, pins
from scripts.distributions import OURS, ROOT, reachable

OUT = ROOT / "out" / "sbom"
IMAGES: dict[str, tuple[str, ...]] = {"edge": (), "worker-cpu": ("cpu",)}
LAST = "worker-cpu"


def install(extras: tuple[str, ...], environment: Path) -> None:
    """Make a virtual environment of what an image with these extras installs."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run(
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True
    )
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--constraint",
            str(CONSTRAINTS),
            "--requirements",
            "pyproject.toml",
        ]
        + [f"--extra={extra}" for extra in extras],
        cwd=ROOT,
        env={**os.environ, "VIRTUAL_ENV": str(environment)},
        check=True,
    )


def write(environment: Path, target: Path, *, validate: bool) -> None:
    """Let cyclonedx-py describe the environment. To validate takes it ten seconds; where that fails, it raises."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", str(environment / "bin" / "python")]
    command += ["--pyproject", "pyproject.toml", "--mc-type", "application", "--output-reproducible"]
    command += [
        "--validate" if validate else "--no-validate",
        "--output-format",
        "JSON",
        "--output-file",
        str(target),
    ]
    subprocess.run(command, cwd=ROOT, check=True)


def complaints(target: Path, extras: tuple[str, ...]) -> list[str]:
    """Where a document differs from what such an install should bring, one sentence each."""
    described = json.loads(target.read_text("utf-8"))
    found = {
        canonicalize_name(one["name"]): str(Version(one["version"]).public) for one in described["components"]
    }
    wanted = reachable(extras) - {OURS}
    pinned = pins(CONSTRAINTS.read_text("utf-8"))[0]
    return [
        *(f"{target.name} lacks {name}" for name in sorted(wanted - found.keys())),
        *(f"{target.name} has {name}, which nothing requires" for name in sorted(found.keys() - wanted)),
        *(
            f"{target.name} has {name} {found[name]}"
            for name in sorted(found)
            if found[name] != pinned.get(name)
        ),
    ]


def main() -> int:
    """Entry point."""
    OUT.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    for image, extras in IMAGES.items():
        environment, target = OUT / f"{image}.venv", OUT / f"{image}.cdx.json"
        install(extras, environment)
        write(environment, target, validate=image == LAST)
        found += complaints(target, extras)
        print(f"{target.relative_to(ROOT)}: {len(reachable(extras))} packages")
    for complaint in found:
        print(complaint, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

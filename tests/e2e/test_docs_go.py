"""The Go client of docs/how-to/grpc.md is built by its page's commands and run, where Go is, with its plugins for
protoc and its gRPC: as modules, or with GO111MODULE=off in GOPATH, as Debian's packages have them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.code_blocks import ROOT, Block, blocks_of, run_block

BLOCKS = blocks_of((ROOT / "docs" / "how-to" / "grpc.md").read_text("utf-8"))
PROGRAMS = ("go", "protoc-gen-go", "protoc-gen-go-grpc")
GRPC = "google.golang.org/grpc"
UNTESTED = "THE DOCUMENTED GO CLIENT IS NOT TESTED"

pytestmark = pytest.mark.slow


def uses_modules() -> bool:
    return os.environ.get("GO111MODULE") != "off"


@pytest.fixture
def go_path(tmp_path: Path) -> str:
    """A GOPATH that begins with the test's own folder. Skips where the client can't be built."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{UNTESTED}: {' and '.join(missing)} not here")
    known = subprocess.run(["go", "env", "GOPATH"], capture_output=True, text=True, check=True).stdout.strip()
    look_up = ["go", "list", "-m", f"{GRPC}@latest"] if uses_modules() else ["go", "list", GRPC]
    if subprocess.run(look_up, cwd=tmp_path, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{UNTESTED}: {GRPC} is not here, and can't be fetched")
    return f"{tmp_path}:{known}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the page describes it."""
    made = tmp_path / "src" / "example.com" / "inpaint"
    made.mkdir(parents=True)
    (program,) = (block for block in BLOCKS if block.language == "go")
    (made / "main.go").write_text(program.code)
    shutil.copytree(ROOT / "proto", made / "proto")
    shutil.copy(ROOT / "examples" / "seabed.jpg", made / "photo.jpg")
    shutil.copy(ROOT / "examples" / "seabed-mask.png", made / "mask.png")
    return made


@pytest.fixture
def path_with_protoc(tmp_path: Path) -> str:
    """PATH with a protoc, Python's where there is no other."""
    if shutil.which("protoc") is not None:
        return os.environ["PATH"]
    programs = tmp_path / "programs"
    programs.mkdir()
    protoc = programs / "protoc"
    protoc.write_text(f'#!/bin/sh\nexec {sys.executable} -m grpc_tools.protoc "$@"\n')
    protoc.chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


def commands() -> Block:
    (block,) = (block for block in BLOCKS if block.language == "sh" and "go run" in block.code)
    if uses_modules():
        return block
    lines = [line for line in block.code.splitlines() if not line.startswith("go mod ")]
    return Block("sh", "\n".join(lines), None)


def test_the_go_client_is_built_and_fills_a_hole(
    go_path: str, folder: Path, path_with_protoc: str, request: pytest.FixtureRequest
) -> None:
    addresses = request.getfixturevalue("addresses")  # not before it is known that Go is there
    finished = run_block(commands(), folder, addresses, {"GOPATH": go_path, "PATH": path_with_protoc})
    assert finished.returncode == 0, finished.stdout
    assert " of 20\n" in finished.stdout  # which steps are told is up to the service
    with Image.open(folder / "filled.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (512, 512))

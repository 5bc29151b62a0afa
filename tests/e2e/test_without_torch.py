"""Serving needs no torch: in a clean environment with `moebius[cpu]` alone, a picture is filled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = "moebius-nano-4step"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of a new environment that has what the extra `cpu` brings and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    uv, pinned = str(Path(sys.prefix) / "bin" / "uv"), str(ROOT / "constraints.txt")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    # With the files that `make` has fetched, and compiling none beforehand: pip takes minutes where cores are busy.
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    constraints = ["--constraint", pinned, "--build-constraint", pinned]
    subprocess.run([*install, *constraints, f"{ROOT}[cpu]"], check=True)
    return python.parent


def run_clean(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run far from the checkout, so that only what was installed can be imported."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOEBIUS_"))
    }
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_picture_is_filled_where_torch_can_not_be_imported(scripts: Path, tmp_path: Path) -> None:
    assert run_clean(scripts / "python", "-c", "import torch", cwd=tmp_path).returncode != 0
    photo = np.full((90, 120, 3), 200, np.uint8)
    Image.fromarray(photo).save(tmp_path / "in.png")
    mask = np.zeros((90, 120), np.uint8)
    mask[40:50, 50:60] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")

    options = ("--model", BUILT_IN, "--seed", "1")
    done = run_clean(
        scripts / "moebius", "inpaint", "in.png", "mask.png", "-o", "out.png", *options, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    filled = np.asarray(Image.open(tmp_path / "out.png"))
    assert filled.shape == photo.shape
    assert np.array_equal(filled[:20], photo[:20])
    assert not np.array_equal(filled[40:50, 50:60], photo[40:50, 50:60])


def test_models_verify_there_and_making_one_says_what_to_install(scripts: Path, tmp_path: Path) -> None:
    done = run_clean(scripts / "moebius", "models", "verify", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{BUILT_IN}: valid" in done.stdout
    exported = run_clean(scripts / "moebius", "models", "export", BUILT_IN, cwd=tmp_path)
    assert exported.returncode == 1
    assert "needs torch" in exported.stderr
    assert "moebius[cpu,export]" in exported.stderr


def test_what_is_not_python_is_installed_too(scripts: Path, tmp_path: Path) -> None:
    """The page, the queue's scripts, the built-in models, the marker for type checkers."""
    tell = "from importlib.metadata import files; print(*files('moebius'), sep='\\n')"
    installed = set(run_clean(scripts / "python", "-c", tell, cwd=tmp_path).stdout.splitlines())
    packaged = {
        f"{prefix}{path.relative_to(folder.parent).as_posix()}"
        for prefix, folder in (
            ("", ROOT / "service"),
            ("", ROOT / "moebius_client"),
            ("service/", ROOT / "model_store"),
        )
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged - installed == set()
    for name in (
        "moebius_client/py.typed",
        "service/edge/playground/static/index.html",
        "service/model_store/moebius-nano/manifest.json",
        "service/pb/moebius/v1/inpaint_pb2.py",
        "service/queue/lua/submit.lua",
    ):
        assert name in installed
    assert not [
        name for name in installed if name.startswith(("tests/", "training/", "benchmarks/", "docs/"))
    ]


def test_the_page_is_served_from_what_is_installed(scripts: Path, tmp_path: Path) -> None:
    """With the client of that installation, which finds no checkout either."""
    program = """
import asyncio, httpx, service.edge.playground.routes as page
from fastapi import FastAPI
app = FastAPI()
app.include_router(page.router)
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        for path in ("/", "/playground/main.js", "/playground/sample.jpg"):
            print((await client.get(path)).status_code, page.__file__)
asyncio.run(ask())
"""
    told = run_clean(scripts / "python", "-c", program, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["200", "200", "200"]
    assert str(ROOT) not in told.stdout


def test_this_test_runs_where_torch_is() -> None:
    """Else the first test would prove nothing about the environment that it makes."""
    assert subprocess.run([sys.executable, "-c", "import torch"], check=False).returncode == 0

"""Every example does what it says, against a real service with the engine that needs no model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.serving import Serving, serving

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 120
# What each is given after the service's address, what it leaves, and what it says. Which steps are told is up to the
# service: it tells the newest from time to time, and the last may be told by the end alone.
RUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "one_photo.py": (("filled.jpg",), ("filled.jpg",), "seed 7"),
    "async_progress.py": (("{folder}",), ("filled-7.jpg", "filled-8.jpg"), " of 20\n"),
    "numpy_arrays.py": (("filled.png",), ("filled.png",), "12000 were to be filled"),
    "folder_of_photos.py": (
        ("{photos}", "{mask}", "filled"),
        ("filled/a.jpg", "filled/b.png"),
        "2 of 3 filled",
    ),
    "jobs.py": (("filled.jpg",), ("filled.jpg",), "then cancelled"),
    "grpc_client.py": (("filled.jpg",), ("filled.jpg",), "20 steps"),
    "curl.sh": (("filled.jpg",), ("filled.jpg",), "event: succeeded"),
}
ELSEWHERE = {"grpc_inpaint.py"}  # tests/integration/grpc/test_example.py


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with serving() as running:
        running.await_ready()
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos, and something that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(EXAMPLES / "seabed.jpg", folder / "a.jpg")
    Image.open(EXAMPLES / "seabed.jpg").save(folder / "b.png")
    (folder / "c.jpg").write_text("no photo")
    return folder


def test_every_example_is_run() -> None:
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert there == set(RUNS) | ELSEWHERE


def test_every_example_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"]({name})" in listed for name in set(RUNS) | ELSEWHERE)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_an_example_works(name: str, service: Serving, photos: Path, tmp_path: Path) -> None:
    given, left, said = RUNS[name]
    address = f"grpc://127.0.0.1:{service.grpc_port()}" if "grpc" in name else service.await_ready()
    places = {"folder": tmp_path, "photos": photos, "mask": EXAMPLES / "seabed-mask.png"}
    command = [str(EXAMPLES / name), address, *(each.format(**places) for each in given)]
    if name.endswith(".py"):
        command.insert(0, sys.executable)
    finished = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    expected = 1 if "of 3" in said else 0  # where one of the files is no photo
    assert finished.returncode == expected, finished.stdout
    assert said in finished.stdout
    for path in left:
        with Image.open(tmp_path / path) as image:
            assert image.size == (512, 512)
            image.load()

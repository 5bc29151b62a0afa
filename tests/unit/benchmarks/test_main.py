"""The command lists every benchmark and loads the one that it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.__main__ import NAMES

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import runpy, sys
sys.argv[0] = "benchmarks"
try:
    runpy.run_module("benchmarks", run_name="__main__")
except SystemExit:
    print(*sys.modules, sep="\\n")
"""


def run(*words: str) -> tuple[str, set[str]]:
    """What the command printed, and the modules that it had loaded."""
    command = [sys.executable, "-c", SCRIPT, *words]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return finished.stdout, set(finished.stdout.split())


def test_help_lists_every_benchmark() -> None:
    text, loaded = run("--help")
    assert all(f"    {name} " in text for name in NAMES)
    assert "numpy" not in loaded


def test_the_benchmark_that_is_asked_for_is_loaded_and_no_other() -> None:
    text, loaded = run("coding", "--help")
    assert "--rounds" in text
    assert "--output" in text
    assert {name for name in loaded if name.partition(".")[2] in NAMES} == {"benchmarks.coding"}
    assert "torch" not in loaded

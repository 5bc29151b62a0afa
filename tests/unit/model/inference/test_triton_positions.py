"""The fused position kernel computes what TiledPositions does, in Triton's interpreter; and compiles for GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.unit.model.inference.position_cases import CASES

ROOT = Path(__file__).resolve().parents[4]
TOLERANCES = {"float32": 1e-4, "float16": 2e-3}
MOST_SHARED_MEMORY = 99 * 1024  # bytes that a program may have on the GPUs with the least of it
HOPPER = 90  # compute capability

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None,
    reason="NOT TESTED: the fused kernel for GPUs. Triton is not installed; it has builds for Linux alone",
)


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.model.inference.interpreted_positions"],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, float] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_computes_what_tiles_do(errors: dict[str, float], name: str) -> None:
    assert errors[name] < TOLERANCES[CASES[name].dtype]


@pytest.mark.parametrize("width", [40, 80])  # of the maps of 64 x 64 and of 32 x 32
def test_the_kernel_compiles_for_a_gpu_at_the_published_sizes(
    width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from service.model.inference.triton_positions import WARPS, position_kernel, sizes

    constants = sizes(heads=8, key_width=width, value_width=width, kernel=15)
    pointers = dict.fromkeys(("queries", "values", "filters", "output"), "*fp16")
    signature = pointers | {"side": "i32"} | dict.fromkeys(constants, "constexpr")
    kernel = compile_kernel(
        ASTSource(position_kernel, signature, constexprs=constants),
        target=GPUTarget("cuda", HOPPER, 32),
        options={"num_warps": WARPS},
    )
    assert kernel.metadata.shared <= MOST_SHARED_MEMORY
    assert "wgmma" in kernel.asm["ptx"]  # products on tensor cores

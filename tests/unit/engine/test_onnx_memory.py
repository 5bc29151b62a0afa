"""The memory of an engine is that of its largest batch, however batch sizes change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GROWTH_ALLOWED = 8 * 1024**2  # bytes; a step takes some 27 MB for each crop of its batch

SCRIPT = """
import random

import numpy as np
import psutil

from service.denoising import StepCoefficients
from service.engine.base import Tile
from service.engine.selection import open_engine
from service.settings import Settings

engine = open_engine(Settings(device="cpu", backend="onnxruntime"))
size = engine.info.image_size
tile = Tile(np.zeros((3, size, size), np.float32), np.ones((size, size), np.float32))
encoded = engine.encode([tile], with_image=False)[0]
states = [engine.begin(encoded, np.zeros(engine.latent_shape, np.float32), 0.0, 1.0) for _ in range(8)]
counts = list(range(1, 9))
random.Random(1).shuffle(counts)
for _ in range(2):
    for count in counts:
        engine.step(states[:count], [StepCoefficients(500, 1.0, 0.0, 1.0)] * count)
    print(psutil.Process().memory_info().rss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is told in another way elsewhere")
def test_memory_does_not_grow_when_batches_of_all_sizes_come_again() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    first, second = map(int, finished.stdout.split())
    assert second <= first + GROWTH_ALLOWED

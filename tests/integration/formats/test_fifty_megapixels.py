"""The largest photo that is allowed: it goes through, and memory is bounded by a few copies of its bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.integration.edge.pictures import encode
from tests.integration.formats.files import smooth
from tests.integration.formats.filling import Filled

pytestmark = pytest.mark.slow

SIDE = 7_071  # 49,999,041 pixels
PHOTO_MEBIBYTES = 3 * SIDE**2 / 2**20
SCRIPT = """
import json, pathlib, sys
from service.contracts import Params
from service.engine.dummy import DummyEngine
from service.settings import Settings
from service.worker.fill import fill_picture

def mebibytes(field):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

engine = DummyEngine(Settings(backend="dummy"))
photo, mask = (pathlib.Path(path).read_bytes() for path in sys.argv[1:3])
before = mebibytes("VmRSS")
result = fill_picture(engine, photo, mask, Params(seed=7, steps=2), max_pixels=50_000_000)
print(json.dumps({"boxes": len(result.boxes), "added": mebibytes("VmHWM") - before}))
"""


def mask_with(*holes: tuple[int, int, int, int]) -> bytes:
    image = Image.new("1", (SIDE, SIDE))
    for hole in holes:
        image.paste(1, hole)
    return encode(image)


@pytest.fixture(scope="module")
def photo() -> bytes:
    return encode(smooth((SIDE, SIDE)), "JPEG", quality=90)


def test_a_photo_of_50_megapixels_comes_back_with_its_holes_filled(
    fill: Callable[..., Filled], photo: bytes
) -> None:
    small, far = (1000, 1200, 1100, 1300), (6000, 6100, 6040, 6140)
    filled = fill(photo, mask_with(small, far), timeout=60)
    assert (filled.image.format, filled.image.size) == ("JPEG", (SIDE, SIDE))
    assert len(filled.answer.headers["x-boxes"].split()) >= 2
    before = np.asarray(smooth((SIDE, SIDE)).crop((3000, 3000, 3400, 3400))).astype(int)
    after = np.asarray(filled.image.crop((3000, 3000, 3400, 3400)))
    assert np.abs(after - before).max() <= 4


def test_memory_stays_within_a_few_copies_of_the_photo_even_with_a_huge_hole(
    photo: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Decoded once by Pillow (4 bytes a pixel) and once as an array, painted, and once more to be encoded; a single
    copy as floats would be four times the photo.
    """
    folder = tmp_path_factory.mktemp("large")
    mask = mask_with((1500, 1500, 5500, 5500), (6500, 200, 6600, 300))
    (folder / "photo.jpg").write_bytes(photo)
    (folder / "mask.png").write_bytes(mask)
    command = [sys.executable, "-c", SCRIPT, str(folder / "photo.jpg"), str(folder / "mask.png")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(finished.stdout)
    assert told["boxes"] > 10, "the huge hole was not looked at in tiles"
    assert told["added"] < 6 * PHOTO_MEBIBYTES

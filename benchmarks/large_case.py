"""One large photograph filled in a process of its own, whose memory nothing else has been in: `measured` starts it.

`python -m benchmarks.large_case SIDE HOLES WAY MODEL THREADS` prints the numbers as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from io import BytesIO
from time import perf_counter

import numpy as np
from PIL import Image

from benchmarks.peak_memory import resident_memory_of_call
from benchmarks.photographs import mask_with_holes, photograph
from benchmarks.seam_measures import Seam, measure_seam
from benchmarks.seams import PLAIN
from service.contracts import MAX_PIXELS, Params, Strategy
from service.engine.base import Engine
from service.engine.inpaint import run
from service.engine.selection import open_engine
from service.imaging.retouch import finish, prepare
from service.settings import Settings
from service.worker.fill import fill_picture

HOLES = {  # count, and side as a share of the photograph's
    "small": (1, 1 / 40),
    "many": (25, 1 / 40),
    "huge": (1, 1 / 2),
}
OURS, ONE_PASS, PLAIN_CROP, PLAIN_RESIZE = "ours", "first pass alone", "plain crop", "plain resize"
PLAIN_STRATEGIES = {PLAIN_CROP: Strategy.CROP, PLAIN_RESIZE: Strategy.RESIZE}
REACH = 32  # pixels: as far as the blending goes at most


@dataclass(frozen=True)
class LargeCase:
    """What one took: crops, seconds, MiB of the process before and at most, and how the largest hole goes on."""

    side: int
    holes: str
    way: str
    crops: int
    seconds: float
    coding_seconds: float
    before: float
    most: float
    seam: Seam

    @classmethod
    def parse(cls, text: str) -> LargeCase:
        """From its JSON."""
        values = json.loads(text)
        return cls(**{**values, "seam": Seam(**values["seam"])})


def measured(side: int, holes: str, way: str, model: str, threads: int) -> LargeCase:
    """One case, in a fresh process."""
    words = (str(side), holes, way, model, str(threads))
    command = [sys.executable, "-m", "benchmarks.large_case", *words]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return LargeCase.parse(finished.stdout.splitlines()[-1])


def measure_here(side: int, holes: str, way: str, model: str, threads: int) -> LargeCase:
    """The same in this process."""
    count, share = HOLES[holes]
    photo, mask = photograph(side, "JPEG"), mask_with_holes(side, round(side * share), count)
    engine = open_engine(Settings.model_validate({"model": model, "threads": threads}))
    engine.warmup()
    answers: list[tuple[bytes, int, float]] = []
    started = perf_counter()
    memory = resident_memory_of_call(lambda: answers.append(_fill(engine, photo, mask, way)))
    seconds = perf_counter() - started
    ((picture, crops, coding),) = answers
    seam = _seam_of(picture, mask)
    return LargeCase(
        side, holes, way, crops, seconds, coding, memory.whole - memory.added, memory.whole, seam
    )


def _fill(engine: Engine, photo: bytes, mask: bytes, way: str) -> tuple[bytes, int, float]:
    """The file, the crops, and the seconds of decoding, composing and encoding."""
    if way == ONE_PASS:
        return _first_pass(engine, photo, mask)
    params = Params(seed=7)
    if way in PLAIN_STRATEGIES:
        params = PLAIN.model_copy(update={"strategy": PLAIN_STRATEGIES[way]})
    result = fill_picture(engine, photo, mask, params, max_pixels=MAX_PIXELS)
    coding = result.stages["decode"] + result.stages["encode"]
    return result.pictures[0], len(result.boxes), coding


def _first_pass(engine: Engine, photo: bytes, mask: bytes) -> tuple[bytes, int, float]:
    params = Params(seed=7)
    started = perf_counter()
    retouch = prepare(photo, mask, params, model_size=engine.info.image_size, max_pixels=MAX_PIXELS)
    decoded = perf_counter()
    (fills,) = run(engine, retouch.tiles, params).fills
    filled = perf_counter()
    picture = finish(retouch, fills, params)
    return picture.data, len(retouch.tiles), decoded - started + perf_counter() - filled


def _seam_of(picture: bytes, mask: bytes) -> Seam:
    """Of the first hole alone: the others are like it."""
    flags = np.asarray(Image.open(BytesIO(mask))) > 0
    top = int(np.flatnonzero(flags.any(axis=1))[0])
    left = int(np.flatnonzero(flags[top])[0])
    down, across = (int(np.argmin(line)) or len(line) for line in (flags[top:, left], flags[top, left:]))
    alone = np.zeros_like(flags)
    alone[top : top + down, left : left + across] = True
    return measure_seam(np.asarray(Image.open(BytesIO(picture))), alone, REACH)


def main() -> None:
    """Print one case."""
    side, holes, way, model, threads = sys.argv[1:]
    print(json.dumps(asdict(measure_here(int(side), holes, way, model, int(threads)))))


if __name__ == "__main__":
    main()

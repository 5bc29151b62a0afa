"""Keeps what every method made of every case as PNG files, so that a run that was ended goes on where it was, and
measures like FID can be taken of the folder.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from training.cases import Case
from training.methods import Method
from training.photos import Pixels

FINGERPRINT = "fingerprint"
SECONDS = "seconds"


class ResultFolder:
    """`root` / method / case.png. A file counts only if its fingerprint is that of this case and this method, so
    that nothing of another model, hole or setting is taken over.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, case: Case, method: Method) -> Path:
        """Where one result lies: the case's name with its kind of hole, a folder a method."""
        return self.root / method.name / Path(case.name).parent / f"{Path(case.name).name}.{case.kind}.png"

    def result(self, case: Case, method: Method) -> tuple[Pixels, float]:
        """The filled picture [h, w, 3] and the seconds that it took: from the folder, or made now and kept."""
        path, fingerprint = self.path(case, method), fingerprint_of(case, method)
        kept = _read(path, fingerprint)
        if kept is not None:
            return kept
        started = time.perf_counter()
        picture = method.fill(case.photo, case.hole)
        seconds = time.perf_counter() - started
        _write(path, picture, fingerprint, seconds)
        return picture, seconds


def fingerprint_of(case: Case, method: Method) -> str:
    """A digest of all that a result depends on."""
    parts = (method.identity.encode(), str(case.photo.shape).encode(), case.photo, np.packbits(case.hole))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.tobytes())
    return digest.hexdigest()


def _read(path: Path, fingerprint: str) -> tuple[Pixels, float] | None:
    if not path.exists():
        return None
    with Image.open(path) as picture:
        if picture.info.get(FINGERPRINT) != fingerprint:
            return None
        return np.asarray(picture.convert("RGB")), float(picture.info[SECONDS])


def _write(path: Path, picture: Pixels, fingerprint: str, seconds: float) -> None:
    """Write whole or not at all: a run may be killed at any time."""
    said = PngInfo()
    said.add_text(FINGERPRINT, fingerprint)
    said.add_text(SECONDS, repr(seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    Image.fromarray(picture).save(partial, "PNG", compress_level=1, pnginfo=said)
    partial.replace(path)

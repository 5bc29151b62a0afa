"""What a finished job made: the pictures, and what is known of them."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moebius_client.atomic_file import write_whole
from moebius_client.errors import InvalidInput

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/webp": (".webp",),
    "image/tiff": (".tif", ".tiff"),
    "image/bmp": (".bmp",),
    "image/gif": (".gif",),
    "image/avif": (".avif",),
}
KNOWN_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)


class Box(NamedTuple):
    """A crop that the model saw, in pixels of the photo: [left, right) x [top, bottom)."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One picture: the encoded file, its format, and the seed that makes it again with n = 1."""

    data: bytes
    content_type: str
    seed: int

    def __bytes__(self) -> bytes:
        return self.data

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image, decoded anew at each call."""
        return decoded(self.data)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file as it came, as a whole or not at all. Raises `InvalidInput` for a suffix of another
        format, and OSError.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        own = SUFFIXES.get(self.content_type, ())
        if suffix in KNOWN_SUFFIXES and suffix not in own:
            raise InvalidInput(
                f"The picture is {self.content_type}, and {target.name} ends with {suffix}. Name it "
                f"{target.with_suffix(own[0] if own else '').name}, or ask for another output_format."
            )
        write_whole(target, self.data)
        return target


@dataclass(frozen=True, slots=True)
class Result:
    """A finished job. What one candidate has is told of the first, too: mostly there is no other.

    `boxes`: the crops that the model saw. `stages`: seconds by stage; `queue` is the wait for a worker. `notes`: what
    had to be changed on the way, if anything. `effective_mask`, where it was asked for: a gray PNG of the picture's
    size as displayed, 255 where the fill alone is, 0 where nothing was touched, the feather in between.
    """

    job_id: str
    model: str
    candidates: tuple[Candidate, ...]
    boxes: tuple[Box, ...]
    stages: Mapping[str, float]
    notes: tuple[str, ...]
    effective_mask: bytes | None = None

    def __bytes__(self) -> bytes:
        return self.data

    @property
    def data(self) -> bytes:
        """The first picture's encoded file."""
        return self.candidates[0].data

    @property
    def content_type(self) -> str:
        """The pictures' format."""
        return self.candidates[0].content_type

    @property
    def image(self) -> Image.Image:
        """The first picture as a PIL image."""
        return self.candidates[0].image

    @property
    def seed(self) -> int:
        """The first picture's seed."""
        return self.candidates[0].seed

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each candidate."""
        return tuple(candidate.seed for candidate in self.candidates)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the first picture; raises what `Candidate.save` raises."""
        return self.candidates[0].save(path)

    def save_all(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write each candidate; if there are several, with its seed in the name: fill.png becomes fill-7.png."""
        names = named_by_seed(Path(path), self.seeds)
        return [candidate.save(name) for candidate, name in zip(self.candidates, names, strict=True)]


def named_by_seed(path: Path, seeds: tuple[int, ...]) -> list[Path]:
    """`path` for a single candidate, else one name for each, with its seed before the suffix."""
    return [path] if len(seeds) == 1 else [path.with_stem(f"{path.stem}-{seed}") for seed in seeds]


def decoded(data: bytes) -> Image.Image:
    """An encoded file as a PIL image, loaded."""
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    image.load()
    return image

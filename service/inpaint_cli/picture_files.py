"""The files of a task: which names are pictures, how a format is asked for by a suffix, reading and writing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.contracts import OutputFormat
from service.inpaint_cli.task import Task

SUFFIX_FORMATS = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}
FORMAT_SUFFIXES = {OutputFormat.PNG: ".png", OutputFormat.JPEG: ".jpg", OutputFormat.WEBP: ".webp"}
OTHER_SUFFIXES = (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff")
PICTURE_SUFFIXES = frozenset((*SUFFIX_FORMATS, *OTHER_SUFFIXES))


class FileError(Exception):
    """A file of a task can't be read or written; the text says which and why, `code` what of the two."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def is_picture(path: Path) -> bool:
    """Whether it is a file that is named as a picture is; hidden ones are somebody else's."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_pictures(task: Task) -> tuple[bytes, bytes]:
    """Photo and mask, encoded. Raises FileError."""
    return _read(task.photo, "photo"), _read(task.mask, "mask")


def _read(path: Path, role: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError("unreadable", f"The {role} can't be read: {error}") from error


def write_answer(
    task: Task, pictures: Sequence[bytes], seeds: tuple[int, ...], effective_mask: bytes | None
) -> tuple[Path, ...]:
    """One file, or one for each candidate, with its seed in the name, and the effective mask where the task asks for
    it; each as a whole or not at all. Raises FileError.
    """
    from moebius_client.atomic_file import write_whole
    from moebius_client.result import named_by_seed

    paths = named_by_seed(task.output, seeds)
    try:
        # First: where the picture is there, its mask is.
        if task.effective_mask is not None and effective_mask is not None:
            write_whole(task.effective_mask, effective_mask)
        for path, picture in zip(paths, pictures, strict=True):
            write_whole(path, picture)
    except OSError as error:
        raise FileError("unwritable", f"The answer can't be written: {error}") from error
    return tuple(paths)

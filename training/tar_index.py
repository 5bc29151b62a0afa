"""Where the samples of a WebDataset shard lie in its tar file: read once, and kept in a folder if one is given."""

from __future__ import annotations

import json
import os
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from training.categories import category_of
from training.errors import DataError
from training.photos import PICTURE_SUFFIXES

MASK_EXTENSION = "mask.png"
PROMPT_EXTENSIONS = ("json", "txt")
_PICTURE_EXTENSIONS = tuple(suffix[1:] for suffix in PICTURE_SUFFIXES)

# Offset and size in bytes.
Place = tuple[int, int]


@dataclass
class TarSample:
    """Members of one key: all that is before the first dot of the file's name, with its folders."""

    key: str
    category: int | None = None
    picture: Place | None = None
    mask: Place | None = None


@dataclass(frozen=True)
class TarIndex:
    """The samples of one tar file, which had this size and time of change."""

    size: int
    changed_ns: int
    samples: list[TarSample] = field(default_factory=list)


_STORED = TypeAdapter(TarIndex)


def tar_index(path: Path, kept_in: Path | None) -> TarIndex:
    """The index of a tar file; from the folder `kept_in` where that has one of the file as it is now.

    Raises DataError for a file that is no tar, is cut off or compressed, holds no picture, or has a wrong prompt.
    """
    status = path.stat()
    stored = (
        None if kept_in is None else kept_in / f"{path.stem}-{zlib.crc32(bytes(path.resolve())):08x}.json"
    )
    known = None if stored is None else _read(stored)
    if known is not None and (known.size, known.changed_ns) == (status.st_size, status.st_mtime_ns):
        return known
    index = TarIndex(status.st_size, status.st_mtime_ns, _samples(path))
    if stored is not None:
        _write(stored, index)
    return index


def _samples(path: Path) -> list[TarSample]:
    samples: dict[str, TarSample] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isfile():
                    _add(samples, archive, member, path)
            _require_end(path, archive.offset)
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a whole, uncompressed tar file: {error}") from error
    if not any(sample.picture for sample in samples.values()):
        raise DataError(f"{path} holds no .{', .'.join(_PICTURE_EXTENSIONS)}: give shards of pictures")
    return list(samples.values())


def _require_end(path: Path, offset: int) -> None:
    """`tarfile` takes a file that is cut off within a header for one that ends there; a whole one ends in zeros."""
    with path.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"cut off at byte {path.stat().st_size}")


def _add(
    samples: dict[str, TarSample], archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path
) -> None:
    folder, slash, file_name = member.name.rpartition("/")
    stem, _, extension = file_name.partition(".")
    key, extension = f"{folder}{slash}{stem}", extension.lower()
    place = member.offset_data, member.size
    if extension == MASK_EXTENSION:
        samples.setdefault(key, TarSample(key)).mask = place
    elif extension in _PICTURE_EXTENSIONS:
        samples.setdefault(key, TarSample(key)).picture = place
    elif extension in PROMPT_EXTENSIONS:
        file = archive.extractfile(member)
        assert file is not None  # `member` is a file
        prompt = _prompt(file.read(), extension, f"{path}, {member.name}")
        if prompt is not None:
            samples.setdefault(key, TarSample(key)).category = category_of(prompt, f"{path}, {member.name}")


def _prompt(data: bytes, extension: str, where: str) -> str | None:
    """The text's only word, or the JSON object's "prompt" if it has one."""
    try:
        text = data.decode()
        if extension == "txt":
            return text.strip()
        values = json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{where} is not {'JSON' if extension == 'json' else 'UTF-8 text'}: {error}"
        ) from error
    if not isinstance(values, dict):
        raise DataError(f'{where} must be a JSON object with "prompt", not {text[:40]}')
    return None if values.get("prompt") is None else str(values["prompt"])


def _read(stored: Path) -> TarIndex | None:
    """None for an index that is not there, or that another version wrote: it is made anew."""
    try:
        return _STORED.validate_json(stored.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write(stored: Path, index: TarIndex) -> None:
    """Rename over it: other processes, of other machines too, may read or write the same index at this moment."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    partial = stored.with_suffix(f".{os.uname().nodename}-{os.getpid()}.partial")
    partial.write_bytes(_STORED.dump_json(index))
    partial.replace(stored)

"""Graphs that were prepared for this machine, kept in a private folder so that the next start is short.

A graph is found by all that it depends on, read only if whole, and made again when it is not. Several workers may
start at once. What is kept may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.artifacts import FileRecord, record_file

logger = logging.getLogger(__name__)

GRAPH = "graph.onnx"
RECORD = "record.json"
PROGRAMS = "programs"
DRAFT = ".draft-"
KEPT_PER_GRAPH = 4  # for a CPU, a GPU, another precision, and the runtime before an upgrade
PRIVATE = 0o700
DIGITS_IN_NAME = 32
LONGEST_DRAFT = 3600.0  # seconds; what is older was left by a worker that was killed

Make = Callable[[Path], None]


class Record(BaseModel):
    """What an entry depends on, for people to read, and what its files must be, byte for byte."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    depends_on: dict[str, str]
    files: dict[str, FileRecord]


@dataclass(frozen=True, slots=True)
class GraphCache:
    """The prepared graphs of one model in `folder`, each in a folder of its own, by all that they depend on."""

    folder: Path
    depends_on: Mapping[str, str]

    def find_or_make(self, name: str, make: Make) -> Path:
        """The path of the prepared graph `name`; `make(path)` writes it, and what belongs to it, into an empty folder.

        `OSError` if the folder is not ours alone or can't be written to.
        """
        _make_private(self.folder)
        entry = self.entry(name)
        if not _is_whole(entry):
            self._make(entry, make)
            self._forget_old(name)
        with suppress(OSError):  # the latest used are kept; one that others maintain for us, we can't touch
            os.utime(entry)
        return entry / GRAPH

    def make_again(self, name: str, make: Make) -> Path:
        """As `find_or_make`, for a graph that is whole, but that the runtime does not take."""
        shutil.rmtree(self.entry(name), ignore_errors=True)
        return self.find_or_make(name, make)

    def programs(self) -> Path:
        """A private folder for what a provider that compiles keeps by itself. `OSError` as above."""
        _make_private(self.folder)
        folder = self.entry(PROGRAMS)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        os.utime(folder)
        self._forget_old(PROGRAMS)
        return folder

    def entry(self, name: str) -> Path:
        """Where the graph `name` is kept."""
        lines = [f"{key}={value}\n" for key, value in sorted(self.depends_on.items())]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:DIGITS_IN_NAME]
        return self.folder / f"{name}-{digest}"

    def _make(self, entry: Path, make: Make) -> None:
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=self.folder))
        try:
            make(draft / GRAPH)
            files = {path.name: record_file(path) for path in sorted(draft.iterdir())}
            record = Record(depends_on=dict(self.depends_on), files=files)
            (draft / RECORD).write_text(record.model_dump_json(indent=1), encoding="utf-8")
            _move(draft, entry)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _forget_old(self, name: str) -> None:
        entries = sorted(self.folder.glob(f"{name}-*"), key=_last_used, reverse=True)
        too_old = time.time() - LONGEST_DRAFT
        left = [draft for draft in self.folder.glob(f"{DRAFT}*") if _last_used(draft) < too_old]
        for folder in (*entries[KEPT_PER_GRAPH:], *left):
            shutil.rmtree(folder, ignore_errors=True)


def _make_private(folder: Path) -> None:
    """Make the folder if need be. `PermissionError` if others may write to it: what is there would be run."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    status = folder.stat()
    others_may_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if others_may_write or status.st_uid not in {0, os.getuid()}:
        raise PermissionError(f"{folder} belongs to another user, or others may write to it")


def _is_whole(entry: Path) -> bool:
    """Whether every byte is as it was recorded; a missing entry is none."""
    if not entry.is_dir():
        return False
    try:
        record = Record.model_validate_json((entry / RECORD).read_bytes())
        whole = all(record_file(entry / name) == expected for name, expected in record.files.items())
    except (OSError, ValidationError):
        whole = False
    if not whole:
        logger.warning("a prepared graph is damaged and is made again", extra={"folder": str(entry)})
    return whole


def _move(draft: Path, entry: Path) -> None:
    """Give an entry its name at once. Another worker may have been faster: then its work is taken, if it is whole."""
    try:
        draft.rename(entry)
    except OSError:
        if not _is_whole(entry):
            shutil.rmtree(entry, ignore_errors=True)
            draft.rename(entry)


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # another worker deleted it
        return 0.0

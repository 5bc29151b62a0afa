"""The page's files, read once from the package, each with its media type and a strong ETag."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "static"
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is answered; `etag` is quoted (RFC 9110, section 8.8.3)."""

    content: bytes
    media_type: str
    etag: str


def read_files(folder: Path = FOLDER) -> dict[str, PageFile]:
    """The files of the folder by name. KeyError for a suffix without a media type."""
    return {path.name: _read(path) for path in sorted(folder.iterdir())}


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    return PageFile(content, MEDIA_TYPES[path.suffix], f'"{digest}"')

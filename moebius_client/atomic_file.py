"""Files that are there as a whole or not at all, whenever the writer is interrupted."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there; a link is followed. What is no plain file (/dev/stdout, a
    pipe) is written to directly. Raises OSError.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(data)
        partial.replace(target)
    except BaseException as error:
        with suppress(OSError):  # it may not be there
            partial.unlink()
        if isinstance(error, OSError):  # tell it of the file that was asked for
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise

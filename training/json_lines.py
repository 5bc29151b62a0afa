"""Picture lists as JSON lines: `{"image": ..., "mask": optional, "prompt": "background" | "foreground"}`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.categories import PROMPTS
from training.errors import DataError
from training.listed_picture import PictureList

LINE_FORM = '{"image": PATH, "mask": PATH or left out, "prompt": "background" or "foreground"}'


class Line(BaseModel):
    """One line; paths are relative to the list's folder."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(min_length=1)
    mask: str | None = Field(default=None, min_length=1)
    prompt: Literal["background", "foreground"]


class JsonLines(PictureList):
    """Every line is checked when the list is opened; only the places of the lines are kept.

    Raises DataError, naming file and line, for a line that is wrong, and for a list without lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        offsets, categories = [], []
        offset = 0
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    offsets.append(offset)
                    categories.append(PROMPTS[_parsed(text, f"{path}, line {number}").prompt])
                offset += len(text)
        if not offsets:
            raise DataError(f"{path} is empty: a line is {LINE_FORM}")
        self.offsets = np.array(offsets, np.int64)
        self.categories = np.array(categories, np.int8)

    def name(self, index: int) -> str:
        """The picture's path as the list gives it."""
        return self._line(index).image

    def picture_bytes(self, index: int) -> bytes:
        """The file's content."""
        return (self.path.parent / self._line(index).image).read_bytes()

    def mask_bytes(self, index: int) -> bytes | None:
        """The mask file's content, if the line names one."""
        mask = self._line(index).mask
        return None if mask is None else (self.path.parent / mask).read_bytes()

    def _line(self, index: int) -> Line:
        with self.path.open("rb") as file:
            file.seek(int(self.offsets[index]))
            return _parsed(file.readline(), f"{self.path}, entry {index}")


def _parsed(text: bytes, where: str) -> Line:
    try:
        line = Line.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{where}: {field}{': ' if field else ''}{first['msg']}. A line is {LINE_FORM}"
        ) from error
    if line.prompt == "foreground" and line.mask is None:
        raise DataError(f'{where}: the prompt "foreground" needs a "mask", the object\'s own')
    return line

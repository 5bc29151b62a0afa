"""What came back of an upload, as the tests look at it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.integration.edge.pictures import decode


class Filled:
    """An answer, expected to be a picture."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer

    @property
    def data(self) -> bytes:
        assert self.answer.status_code == 200, self.answer.text
        return self.answer.content

    @cached_property
    def image(self) -> Image.Image:
        return decode(self.data)

    @property
    def notes(self) -> str:
        return str(self.answer.headers.get("x-notes", ""))

    @property
    def refusal(self) -> tuple[int, str, str]:
        """Status, code and text of a problem."""
        problem: dict[str, Any] = self.answer.json()
        return self.answer.status_code, problem["code"], problem["detail"]


def shown(image: Image.Image) -> npt.NDArray[Any]:
    """What a viewer shows: a palette's places may move, its colours may not."""
    return np.asarray(image.convert("RGBA") if image.mode == "P" else image)


def changed(before: Image.Image, after: Image.Image) -> npt.NDArray[np.bool_]:
    """Which pixels [H, W] differ."""
    differs = shown(before) != shown(after)
    return np.asarray(differs.any(axis=-1) if differs.ndim == 3 else differs)

"""What a user sees of the page and does with it, in a browser."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request, Response, expect

PATIENCE = 90_000  # milliseconds; a bound for broken code on a busy machine
Flags = npt.NDArray[np.bool_]
Point = tuple[float, float]


class Playground:
    """One tab with the page. `foreign_requests`, `errors` and `refusals` are what went wrong meanwhile."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.context = context
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self.foreign_requests: list[str] = []
        self.errors: list[str] = []
        self.refusals: list[int] = []
        self.expected_refusals: list[int] = []
        self.page = context.new_page()
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_response)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        # The list of models is the last that a page loads; where a key is asked for, the field for it is.
        expect(self.page.locator("#model option, #key:visible").first).to_be_attached()

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "blob:", "data:")):
            self.foreign_requests.append(request.url)

    def _note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.refusals.append(response.status)

    def _note_message(self, message: ConsoleMessage) -> None:
        # A refusal is noted by its status already.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def close(self) -> None:
        """Closes the tab and all that belongs to it."""
        self.context.close()

    def button(self, name: str) -> Locator:
        """A button that is seen, by its exact name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def click(self, name: str) -> None:
        """Presses a button."""
        self.button(name).click()

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, wherever the focus is."""
        for key in keys:
            self.page.keyboard.press(key)

    def open_sample(self) -> None:
        """The sample picture and its mask, by one click."""
        self.click("Sample")
        self.await_size("512 × 512")
        expect(self.page.locator("#coverage")).not_to_have_text("0 %")

    def open_file(self, path: Path) -> None:
        """A picture from the disk."""
        self.page.locator("#picture-file").set_input_files(path)

    def await_size(self, size: str) -> None:
        """Waits for the picture of that size."""
        expect(self.page.locator("#picture-size")).to_have_text(size)

    def text(self, identity: str) -> str:
        """The text of an element, by its id."""
        return self.page.locator(f"#{identity}").inner_text()

    def box(self) -> tuple[float, float, float]:
        """Left and top of the picture in the window, and its scale, while the whole picture is seen."""
        field = self.page.locator("#canvas").bounding_box()
        assert field is not None
        width, height = (int(side) for side in self.text("picture-size").split(" × "))
        scale = min((field["width"] - 40) / width, (field["height"] - 40) / height, 4)
        left = field["x"] + (field["width"] - width * scale) / 2
        return left, field["y"] + (field["height"] - height * scale) / 2, scale

    def at(self, point: Point) -> Point:
        """Where a point of the picture is in the window, while the whole picture is seen."""
        left, top, scale = self.box()
        return left + point[0] * scale, top + point[1] * scale

    def drag(self, points: Sequence[Point]) -> None:
        """The mouse along points of the picture, with the button down."""
        places = [self.at(point) for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def set_size(self, pixels: int) -> None:
        """The brush's diameter."""
        self.page.locator("#size").fill(str(pixels))
        expect(self.page.locator("#size-text")).to_have_text(f"{pixels} px")

    def mask(self) -> Flags:
        """The mask as it is saved, True = fill."""
        with self.page.expect_download() as saved:
            self.click("Download mask")
        with Image.open(saved.value.path()) as image:
            assert image.mode == "1"
            return np.asarray(image)

    def run(self) -> None:
        """Presses Run and waits for the filled picture."""
        self.click("Run")
        expect(self.page.locator("#results")).to_be_visible()

    def result(self) -> Image.Image:
        """The filled picture as it is saved."""
        with self.page.expect_download() as saved:
            self.page.locator("#result-download").click()
        image = Image.open(io.BytesIO(Path(saved.value.path()).read_bytes()))
        image.load()
        return image

    def seen(self) -> npt.NDArray[np.int16]:
        """The canvas's part of the window, [H, W, 3]."""
        shot = self.page.locator("#canvas").screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=np.int16)

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """What a script says in the page."""
        return self.page.evaluate(script, argument)

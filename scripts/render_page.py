"""Takes the pictures of the page for docs/images: a real Chromium before a real service with the built-in model.

Needs Chromium or Chrome, and playwright of the `dev` extra: python -m scripts.render_page
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.demo import service

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1360, "height": 850}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
PATIENCE = 120_000  # milliseconds
COLORS = 256  # of the PNG's palette: it is a third as large
SEED = "7"


def save(page: Page, folder: Path, name: str) -> None:
    """The window as it is seen now."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = folder / f"page-{name}.png"
    picture.quantize(COLORS, Image.Quantize.MEDIANCUT).save(path, optimize=True)
    print(path)


def opened(browser: Browser, url: str, **options: Any) -> Page:
    """The page in a window of its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#model option").first).to_be_attached()
    return page


def open_sample(page: Page) -> None:
    """The sample picture with its mask."""
    page.locator("#sample").click()
    expect(page.locator("#coverage")).to_have_text(re.compile(r"^[1-9]"))


def run(page: Page) -> None:
    """To the filled picture."""
    page.get_by_label("Seed", exact=True).fill(SEED)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#results")).to_be_visible()
    page.mouse.move(0, 0)


def draw(page: Page) -> None:
    """A stroke over the snake's head, with the brush still over the picture."""
    box = page.locator("#canvas").bounding_box()
    if box is None:
        raise SystemExit("The page shows no canvas.")
    scale = (min(box["width"], box["height"]) - 40) / 512
    left = box["x"] + box["width"] / 2 - 256 * scale
    top = box["y"] + box["height"] / 2 - 256 * scale
    places = [(10, 298), (60, 297), (110, 315), (150, 340), (190, 352), (240, 350), (275, 330), (300, 300)]
    page.mouse.move(left + places[0][0] * scale, top + places[0][1] * scale)
    page.mouse.down()
    for x, y in places:
        page.mouse.move(left + x * scale, top + y * scale, steps=6)
    page.mouse.up()


def desktop_states(browser: Browser, url: str, folder: Path) -> None:
    """Start, drawing, running with a preview, and the filled picture."""
    page = opened(browser, url, color_scheme="light", **DESKTOP)
    save(page, folder, "start")
    open_sample(page)
    page.locator("#clear").click()
    page.locator("#size").fill("46")
    draw(page)
    save(page, folder, "drawing")
    page.locator("#undo").click()
    page.locator("#undo").click()  # the sample's own mask again
    page.get_by_label("Seed", exact=True).fill(SEED)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#progress-text")).to_have_text(re.compile(r"^Step (1\d of 20|[23] of 4)$"))
    save(page, folder, "running")
    expect(page.locator("#results")).to_be_visible()
    page.mouse.move(0, 0)
    save(page, folder, "result")
    page.get_by_role("button", name="Keyboard and help").click()
    save(page, folder, "help")
    page.context.close()


def other_looks(browser: Browser, url: str, folder: Path) -> None:
    """In the dark, and on a phone."""
    for name, options in (("dark", {**DESKTOP, "color_scheme": "dark"}), ("phone", PHONE)):
        page = opened(browser, url, **options)
        open_sample(page)
        run(page)
        page.evaluate("scrollTo(0, 0)")
        save(page, folder, name)
        page.context.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="of a service that runs already (default: one of its own)")
    parser.add_argument(
        "--out", type=Path, default=IMAGES, help="folder for the pictures (default: docs/images)"
    )
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit("There is no Chromium here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        if options.url:
            take_all(browser, options.url, options.out)
        else:
            with service(Path(folder) / "log") as url:
                take_all(browser, url, options.out)
        browser.close()


def take_all(browser: Browser, url: str, folder: Path) -> None:
    """Every picture."""
    desktop_states(browser, url, folder)
    other_looks(browser, url, folder)


if __name__ == "__main__":
    main()

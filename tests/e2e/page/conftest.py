"""A real Chromium before a real `moebius serve` with the built-in model of four steps.

Chromium is the distribution's, or Chrome where that is installed; without either these tests are skipped, loudly.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.page.playground import Playground
from tests.e2e.serving import serving

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MODEL = "moebius-nano-4step"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("THE PAGE IS NOT TESTED: there is no Chromium here (apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def service_url(chromium_path: str) -> Iterator[str]:  # without a browser nobody would look at it
    with serving("--backend", "onnxruntime", "--models", MODEL) as service:
        yield service.await_ready()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Of a module: while it lives, no other event loop can run in this thread."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_path)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser, service_url: str) -> Iterator[Callable[..., Playground]]:
    """Opens the page in a fresh browser context. At the end it must have asked nobody but the service, and have had
    no error that the test has not said it expects.
    """
    opened: list[Playground] = []

    def open_one(url: str = service_url, **options: object) -> Playground:
        settings = {"viewport": {"width": 1280, "height": 800}, **options}
        page = Playground(browser.new_context(**settings), url)  # type: ignore[arg-type]
        opened.append(page)
        return page

    yield open_one
    for page in opened:
        page.close()
    for page in opened:
        assert page.foreign_requests == []
        assert page.errors == []
        assert page.refusals == page.expected_refusals


@pytest.fixture
def page(open_page: Callable[..., Playground]) -> Playground:
    """The page, just loaded."""
    return open_page()


@pytest.fixture
def sample(page: Playground) -> Playground:
    """The page with the sample picture, and its mask cleared."""
    page.open_sample()
    page.click("Clear the mask")
    return page

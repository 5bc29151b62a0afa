"""What everybody can read, reach and trust: contrast, names, keyboard, small screens, and no other host."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from service.edge.playground.files import FOLDER
from tests.e2e.page.playground import Playground

pytestmark = pytest.mark.slow

AXE = "axe-core@4.10.3"
TYPESCRIPT = "typescript@5.8.3"
PACKAGES = Path(sys.prefix) / f"page-checks-{AXE}-{TYPESCRIPT}"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECKED = ("--noEmit", "--strict", "--allowJs", "--checkJs", "--noUnusedLocals", "--noUnusedParameters")
MODULES = ("--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")
LIBRARY = ("--lib", "es2023,dom,dom.iterable,dom.asynciterable")
AUDIT = """async (rules) => {
    const {violations} = await axe.run(document, {runOnly: rules});
    return violations.map(({id, nodes}) => [id, ...nodes.map(({html, failureSummary}) => html + failureSummary)]);
}"""


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with axe-core and the compiler of TypeScript; installed once, as long as the environment lasts."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(
            "THE PAGE'S ACCESSIBILITY AND TYPES ARE NOT CHECKED: both checks come from npm, which is not here"
        )
    modules = PACKAGES / "node_modules"
    if not (modules / ".bin" / "tsc").exists():
        options = ("--silent", "--no-audit", "--no-fund", "--prefix", str(PACKAGES))
        subprocess.run([npm, "install", *options, AXE, TYPESCRIPT], check=True)
    return modules


@pytest.fixture(scope="session")
def axe(packages: Path) -> str:
    return (packages / "axe-core" / "axe.min.js").read_text("utf-8")


def audit(page: Playground, axe: str) -> list[Any]:
    """What axe-core finds wrong in the page as it is now, colours' contrast included."""
    page.evaluate(axe)
    found: list[Any] = page.evaluate(AUDIT, RULES)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(open_page: Callable[..., Playground], axe: str, scheme: str) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    assert audit(page, axe) == [], "at the start"
    for summary in ("How it is filled", "What comes back"):
        page.page.get_by_text(summary).click()
    page.open_sample()
    assert audit(page, axe) == [], "with a picture"
    page.click("Clear the mask")
    page.click("Run")
    expect(page.page.get_by_role("alert")).to_be_visible()
    assert audit(page, axe) == [], "with a message"
    page.click("Undo")
    page.run()
    assert audit(page, axe) == [], "with a filled picture"
    page.press("?")
    assert audit(page, axe) == [], "with the help"


def test_the_audit_finds_what_is_wrong(page: Playground, axe: str) -> None:
    page.evaluate("document.querySelector('label[for=seed]').remove()")
    page.evaluate("document.querySelector('.claim').style.color = '#d0d0d0'")
    page.page.locator("#seed").evaluate("field => field.removeAttribute('placeholder')")
    assert {found[0] for found in audit(page, axe)} >= {"label", "color-contrast"}


def test_the_page_works_from_the_first_key_to_the_picture_without_a_pointer(page: Playground) -> None:
    reach(page, "sample")
    page.press("Enter")
    page.await_size("512 × 512")
    expect(page.page.locator("#canvas")).to_be_focused()
    expect(page.page.locator("#coverage")).not_to_have_text("0 %")
    page.press("Enter", "ArrowDown", "ArrowDown", "Enter", "Control+Enter")
    expect(page.page.locator("#results")).to_be_visible()
    reach(page, "divider")
    page.press("ArrowLeft")
    expect(page.page.locator("#divider")).to_have_attribute("aria-valuenow", "48")
    reach(page, "result-download")
    with page.page.expect_download() as saved:
        page.press("Enter")
    assert saved.value.suggested_filename == "seabed-filled.jpg"


def reach(page: Playground, identity: str) -> None:
    """Presses Tab until that element has the focus; each on the way shows that it has it."""
    for _ in range(80):
        page.press("Tab")
        if page.evaluate("document.activeElement.id") == identity:
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"{identity} can't be reached by Tab")


def test_a_phone_s_width_is_enough(open_page: Callable[..., Playground]) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.open_sample()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for name in ("Brush", "Undo", "Run"):
        page.button(name).scroll_into_view_if_needed()
        box = page.button(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert min(box["width"], box["height"]) >= 24, "WCAG 2.2, 2.5.8"
    page.run()


def test_who_wants_no_motion_gets_none(open_page: Callable[..., Playground]) -> None:
    moving = "getComputedStyle(document.getElementById('run')).transitionDuration"
    assert open_page().evaluate(moving) != "0s"
    assert open_page(reduced_motion="reduce").evaluate(moving) == "0s"


def test_the_policy_is_in_force(page: Playground) -> None:
    blocked = page.evaluate("""async () => {
        const told = new Promise((resolve) =>
            document.addEventListener("securitypolicyviolation", ({violatedDirective}) => resolve(violatedDirective)));
        await fetch("http://127.0.0.1:1/").catch(() => undefined);
        return told;
    }""")
    assert blocked == "connect-src"
    page.errors.clear()
    page.foreign_requests.clear()


def test_the_scripts_have_the_types_that_they_say(packages: Path, tmp_path: Path) -> None:
    def told(folder: Path) -> str:
        command = [
            str(packages / ".bin" / "tsc"),
            *CHECKED,
            *MODULES,
            *LIBRARY,
            *map(str, sorted(folder.glob("*.js"))),
        ]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout

    assert told(FOLDER) == ""
    shutil.copytree(FOLDER, tmp_path / "wrong")
    script = tmp_path / "wrong" / "view.js"
    script.write_text(script.read_text().replace("this.scale = allowed;", "this.scale = String(allowed);"))
    assert "view.js" in told(tmp_path / "wrong")

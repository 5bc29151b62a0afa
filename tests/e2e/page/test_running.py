"""Running what was drawn: progress, the filled picture, cancelling, problems, and the same as code."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from service.settings import Settings
from tests.e2e.page.playground import PATIENCE, Playground
from tests.e2e.serving import serving, until
from tests.integration.edge.live_edge import FlatWorker, running_edge
from tests.integration.edge.pictures import photo

pytestmark = pytest.mark.slow

KEY = "her-key"
LONG = {"Candidates": "10"}  # work for half a minute: enough to be caught at it
WATCH_PROGRESS = """() => {
    window.seen = [];
    const text = document.getElementById("progress-text");
    new MutationObserver(() => window.seen.push(text.textContent)).observe(text, {childList: true});
}"""

# The colour in the middle of the snake before the run, and once a preview has been drawn.
WATCH_HOLE = """() => {
    const canvas = document.getElementById("canvas");
    const box = canvas.getBoundingClientRect();
    const scale = Math.min(box.width - 40, box.height - 40) / 512;
    const at = [box.width / 2 - 66 * scale, box.height / 2 + 94 * scale].map(Math.round);
    const copy = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const color = () => {
        copy.drawImage(canvas, -at[0], -at[1]);
        return [...copy.getImageData(0, 0, 1, 1).data];
    };
    window.hole = [color()];
    new MutationObserver((_, observer) => {
        if (!document.querySelector(".previewing")) return;
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => window.hole.push(color())));
    }).observe(document.getElementById("stage"), {attributeFilter: ["class"]});
}"""


def start(page: Playground, **fields: str) -> str:
    """Presses Run; the id of the job that the service has made of it."""
    for label, value in fields.items():
        page.page.get_by_label(label, exact=True).fill(value)
    with page.page.expect_response(lambda answer: answer.request.method == "POST") as sent:
        page.click("Run")
    assert sent.value.status == 202, sent.value.text()
    identity: str = sent.value.json()["id"]
    return identity


def status(url: str, job: str) -> str:
    """Where a job stands; we have the address of its client, so that we may know."""
    answer: str = httpx.get(f"{url}/v1/jobs/{job}", timeout=30).raise_for_status().json()["status"]
    return answer


def test_a_run_tells_its_steps_and_ends_with_a_picture_of_the_photo_s_size(page: Playground) -> None:
    page.open_sample()
    hole = page.mask()
    page.evaluate(WATCH_PROGRESS)
    page.run()
    told = page.evaluate("window.seen")
    assert told[0] == "Sending…"
    steps = [int(found[1]) for text in told if (found := re.match(r"Step (\d) of 4$", text))]
    assert steps
    assert steps == sorted(steps)
    assert max(steps) < 4, "after the last one it is not denoised any more"
    filled = page.result()
    with Image.open(Path("service/edge/playground/static/sample.jpg")) as before:
        assert (filled.size, filled.format) == (before.size, before.format)
        change = np.abs(np.asarray(filled, np.int16) - np.asarray(before, np.int16)).max(axis=2)
    assert np.median(change[hole]) > 20
    assert np.median(change[~hole]) <= 1
    assert re.fullmatch(r"Seed \d+, moebius-nano-4step", page.text("facts"))


def test_the_divider_shows_before_on_its_left_and_after_on_its_right(page: Playground) -> None:
    page.open_sample()
    hole = page.mask()
    page.run()
    slider = page.page.get_by_role("slider", name="Divider between before and after")
    expect(slider).to_have_attribute("aria-valuenow", "50")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "100")
    before = page.seen()
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    after = page.seen()
    left, top, width, height = picture_in_canvas(page)
    middle = left + width // 2
    knob = slider.bounding_box()
    assert knob is not None
    page.page.mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 4)
    page.page.mouse.down()
    page.page.mouse.move(page.at((256, 0))[0], knob["y"] + knob["height"] / 4, steps=5)
    page.page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", "50")
    seen = page.seen()
    strip = np.s_[top : top + 60, left + 120 : middle - 30]
    assert np.array_equal(seen[strip], before[strip])
    inside = np.array(Image.fromarray(hole).resize((width, height)))
    inside[:, : width // 2 + 30] = False
    inside[:, -40:] = False
    box = np.s_[top : top + height, left : left + width]
    assert np.abs(seen[box] - after[box])[inside].max() == 0
    assert np.abs(seen[box] - before[box])[inside].mean() > 10
    with Image.open(Path("service/edge/playground/static/sample.jpg")) as sample:
        photo_there, filled_there = (
            np.asarray(each.resize((width, height)), np.int16)[inside] for each in (sample, page.result())
        )
    for shown, own, other in ((before, photo_there, filled_there), (after, filled_there, photo_there)):
        assert np.abs(shown[box][inside] - own).mean() < np.abs(shown[box][inside] - other).mean() / 2


def picture_in_canvas(page: Playground) -> tuple[int, int, int, int]:
    """Left, top, width and height of the picture in a screenshot of the canvas."""
    field = page.page.locator("#canvas").bounding_box()
    assert field is not None
    left, top, scale = page.box()
    return round(left - field["x"]), round(top - field["y"]), int(512 * scale), int(512 * scale)


@pytest.fixture
def slow_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service whose steps take their time, without a model."""
    monkeypatch.setenv("MOEBIUS_DUMMY_STEP_SECONDS", "0.2")
    with serving() as service:
        yield service.await_ready()


def test_the_fill_appears_while_it_is_computed(open_page: Callable[..., Playground], slow_url: str) -> None:
    page = open_page(slow_url)
    page.open_sample()
    page.evaluate(WATCH_HOLE)
    page.run()
    tinted, filled = page.evaluate("window.hole")
    assert tinted[0] - tinted[1] > 60, "the mask is seen first"
    assert abs(filled[0] - filled[1]) < 60, "then the fill"


def test_a_cancelled_run_is_cancelled_on_the_service(page: Playground, service_url: str) -> None:
    page.open_sample()
    job = start(page, **LONG)
    expect(page.page.locator("#progress-text")).to_have_text(re.compile(r"^Step \d of 4$"))
    page.click("Cancel")
    expect(page.button("Run")).to_be_visible()
    until(lambda: status(service_url, job) == "cancelled")
    expect(page.page.locator("#results")).to_be_hidden()
    page.page.get_by_label("Candidates", exact=True).fill("1")
    page.run()


def test_who_opens_another_picture_leaves_no_work_behind(page: Playground, service_url: str) -> None:
    page.open_sample()
    job = start(page, **LONG)
    page.open_file(Path("examples/seabed.jpg"))
    until(lambda: status(service_url, job) == "cancelled")
    expect(page.button("Run")).to_be_visible()
    expect(page.page.locator("#results")).to_be_hidden()


def test_who_leaves_the_page_leaves_no_work_behind(
    open_page: Callable[..., Playground], service_url: str
) -> None:
    page = open_page()
    page.open_sample()
    job = start(page, **LONG)
    page.page.goto("about:blank")
    until(lambda: status(service_url, job) == "cancelled")
    page.foreign_requests.clear()


def test_several_candidates_are_chosen_from_and_the_chosen_one_is_saved(page: Playground) -> None:
    page.open_sample()
    page.page.get_by_label("Candidates", exact=True).fill("2")
    page.page.get_by_label("Seed", exact=True).fill("5")
    page.run()
    assert page.text("facts").startswith("Seed 5,")
    first = np.asarray(page.result())
    page.click("Candidate 2 of 2")
    assert page.text("facts").startswith("Seed 6,")
    assert not np.array_equal(np.asarray(page.result()), first)


def test_a_locked_seed_makes_the_same_picture_again(page: Playground) -> None:
    page.open_sample()
    page.run()
    seed = page.page.get_by_label("Seed", exact=True).input_value()
    first = np.asarray(page.result())
    for is_kept in (True, False):
        page.click("Keep this seed")
        page.click("Run")
        expect(page.button("Run")).to_be_hidden()
        expect(page.button("Run")).to_be_visible()
        assert (page.page.get_by_label("Seed", exact=True).input_value() == seed) is is_kept
        assert np.array_equal(np.asarray(page.result()), first) is is_kept


def test_the_filled_picture_can_be_edited_further(page: Playground) -> None:
    page.open_sample()
    hole = page.mask()
    page.run()
    filled = np.asarray(page.result(), dtype=np.int16)
    page.click("Edit further")
    expect(page.page.locator("#announcer")).to_have_text("seabed-filled.jpg is open, 512 by 512 pixels.")
    assert page.text("coverage") == "0 %"
    expect(page.page.locator("#results")).to_be_hidden()
    page.set_size(16)
    page.drag([(20, 20), (40, 20)])
    page.run()
    further = np.asarray(page.result(), dtype=np.int16)
    before = np.asarray(Image.open("examples/seabed.jpg"), dtype=np.int16)
    assert np.abs(further - filled)[hole].mean() < 1  # a JPEG that is written twice may differ a little
    assert np.abs(further - before)[hole].mean() > 10
    assert np.abs(further - filled)[14:26, 14:46].mean() > 5


def test_who_has_marked_nothing_is_told_what_to_do(sample: Playground) -> None:
    sample.click("Run")
    expect(sample.page.get_by_role("alert")).to_contain_text("Mark what shall go first")


def test_a_problem_of_the_service_is_shown_in_its_words(page: Playground, tmp_path: Path) -> None:
    page.expected_refusals = [422]
    frames = [photo(size=(64, 64)), photo(size=(64, 64)).transpose(Image.Transpose.ROTATE_90)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    page.open_file(tmp_path / "moving.gif")
    page.await_size("64 × 64")
    page.click("Invert the mask")
    page.click("Run")
    alert = page.page.get_by_role("alert")
    expect(alert).to_contain_text("is animated or has several pages; only still pictures are allowed")
    expect(alert).to_contain_text("animated_image")
    expect(page.button("Run")).to_be_enabled()


def test_a_number_out_of_its_range_is_not_sent(page: Playground) -> None:
    page.open_sample()
    page.page.get_by_label("Candidates", exact=True).fill("11")
    page.click("Run")
    assert page.evaluate("document.getElementById('n').matches(':invalid')")
    expect(page.page.locator("#running")).to_be_hidden()


def test_a_few_step_model_keeps_its_own_steps(page: Playground) -> None:
    page.page.get_by_text("How it is filled").click()
    expect(page.page.get_by_label("Steps", exact=True)).to_be_disabled()
    assert page.text("model-note") == "Made for 4 steps; steps, guidance and sampler are its own."


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_copied_code_does_the_same(page: Playground, tmp_path: Path, language: str) -> None:
    page.open_sample()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.page.get_by_label("Seed", exact=True).fill("7")
    page.run()
    by_page = np.asarray(page.result())
    Image.fromarray(page.mask()).save(tmp_path / "seabed-mask.png")
    (tmp_path / "seabed.jpg").write_bytes(Path("examples/seabed.jpg").read_bytes())
    page.click(f"Copy as {language}")
    page.click("Copy")
    expect(page.page.locator("#code-done")).to_have_text("Copied.")
    code = page.evaluate("navigator.clipboard.readText()")
    command = ["bash", "-euc", code] if language == "curl" else [sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE / 1000)
    with Image.open(tmp_path / "seabed-filled.jpg") as by_code:
        assert np.array_equal(np.asarray(by_code), by_page)


def test_a_python_program_has_values_of_their_types(page: Playground) -> None:
    fields = {"n": "2", "model": "7", "guidance_scale": "2.50", "color_match": "false", "sampler": "ddim"}
    recipe = {
        "origin": "http://host",
        "image": 'a "b".jpg',
        "mask": "m.png",
        "output": "o.jpg",
        "needsKey": True,
    }
    code = page.evaluate(
        """async ([recipe, fields]) => {
            const { pythonProgram } = await import("/playground/snippets.js");
            return pythonProgram({ ...recipe, fields: new Map(Object.entries(fields)) });
        }""",
        [recipe, fields],
    )
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (inpaint,) = (call for call in calls if ast.unparse(call.func) == "client.inpaint")
    assert [ast.literal_eval(each) for each in inpaint.args] == ['a "b".jpg', "m.png"]
    assert {each.arg: ast.literal_eval(each.value) for each in inpaint.keywords} == {
        "n": 2,
        "model": "7",
        "guidance_scale": 2.5,
        "color_match": False,
        "sampler": "ddim",
    }
    assert "result.save_all('o.jpg')" in [ast.unparse(call) for call in calls]
    assert "MOEBIUS_KEY" in code


def test_code_is_quoted_whatever_a_file_is_called(page: Playground, tmp_path: Path) -> None:
    name = 'it\'s "one; two", $(three).png'
    photo(size=(64, 64)).save(tmp_path / name)
    page.open_file(tmp_path / name)
    page.await_size("64 × 64")
    page.click("Copy as curl")
    code = page.page.locator("#code").input_value()
    shown = subprocess.run(
        ["bash", "-euc", code.replace("curl ", "printf '%s\\n' ", 1)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert 'image=@"it\'s \\"one; two\\", $(three).png"' in shown.splitlines()


@pytest.fixture
def keyed_url(queue_url: str) -> Iterator[str]:
    """An edge that asks for a key, with a worker that fills with one colour."""
    settings = Settings(api_keys={"alice": hashlib.sha256(KEY.encode()).hexdigest()})
    with FlatWorker(queue_url, settings), running_edge(queue_url, settings) as url:
        yield url


def test_where_a_key_is_asked_for_there_is_a_field_for_it(
    open_page: Callable[..., Playground], keyed_url: str
) -> None:
    page = open_page(keyed_url)
    page.expected_refusals = [401, 401]
    expect(page.page.get_by_role("alert")).to_contain_text("An API key is needed")
    page.page.get_by_label("API key").fill("another")
    page.click("Use it")
    expect(page.page.get_by_role("alert")).to_contain_text("not known here")
    page.page.get_by_label("API key").fill(KEY)
    page.press("Enter")
    expect(page.page.get_by_label("API key")).to_be_hidden()
    page.open_sample()
    page.run()
    assert page.result().size == (512, 512)
    page.click("Copy as curl")
    code = page.page.locator("#code").input_value()
    assert KEY not in code
    assert "$MOEBIUS_KEY" in code

"""Drawing the mask: each tool, by mouse, keys and fingers; what is saved is what was drawn, at the picture's size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.page.playground import Flags, Playground
from tests.integration.edge.pictures import photo

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def disc(radius: float, *centres: tuple[float, float]) -> Flags:
    """The pixels of the sample whose centre is nearer than `radius` to one of the centres."""
    rows, columns = np.mgrid[:512, :512] + 0.5
    inside = np.zeros((512, 512), np.bool_)
    for x, y in centres:
        inside |= (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return inside


def differing(one: Flags, other: Flags) -> int:
    return int((one != other).sum())


def test_the_sample_comes_with_its_mask_by_one_click(page: Playground) -> None:
    page.open_sample()
    with Image.open(EXAMPLES / "seabed-mask.png") as expected:
        assert np.array_equal(page.mask(), np.asarray(expected.convert("L")) >= 128)


def test_the_brush_draws_its_width_along_the_way(sample: Playground) -> None:
    sample.set_size(40)
    sample.drag([(100, 200), (300, 200)])
    drawn = sample.mask()
    rectangle = np.zeros_like(drawn)
    rectangle[180:220, 100:300] = True
    expected = rectangle | disc(20, (100, 200), (300, 200))
    # The mouse stands on whole pixels of the screen, so the edge may lie a pixel beside.
    assert differing(drawn, expected) < 700
    assert drawn[185:215, 90:310].all()
    assert sample.text("coverage") == f"{drawn.mean() * 100:.1f} %"


def test_the_eraser_takes_away_and_undo_and_redo_go_back_and_forth(sample: Playground) -> None:
    sample.set_size(60)
    sample.drag([(100, 200), (300, 200)])
    drawn = sample.mask()
    sample.click("Eraser")
    sample.drag([(200, 150), (200, 250)])
    erased = sample.mask()
    assert not erased[160:240, 175:225].any()
    assert np.array_equal(erased[:, :160], drawn[:, :160])
    sample.click("Undo")
    assert np.array_equal(sample.mask(), drawn)
    sample.press("Control+z")
    assert sample.mask().sum() == 0
    sample.press("Control+Shift+z")
    assert np.array_equal(sample.mask(), drawn)
    sample.click("Redo")
    assert np.array_equal(sample.mask(), erased)
    expect(sample.button("Redo")).to_be_disabled()
    sample.click("Undo")
    expect(sample.button("Redo")).to_be_enabled()
    sample.click("Brush")
    sample.drag([(50, 450), (60, 450)])
    expect(sample.button("Redo")).to_be_disabled()  # what was undone is of another mask


def test_a_rectangle_is_filled_from_corner_to_corner(sample: Playground) -> None:
    sample.press("r")
    sample.drag([(50, 60), (250, 160)])
    drawn = sample.mask()
    rows, columns = np.nonzero(drawn)
    assert np.allclose(
        [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1], [60, 160, 50, 250], atol=1.5
    )
    assert drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()


def test_with_alt_a_rectangle_takes_away(sample: Playground) -> None:
    sample.click("Invert the mask")
    sample.click("Rectangle")
    sample.page.keyboard.down("Alt")
    sample.drag([(50, 60), (250, 160)])
    sample.page.keyboard.up("Alt")
    drawn = sample.mask()
    assert not drawn[63:157, 53:247].any()
    assert drawn[:58].all()


@pytest.mark.parametrize(
    "outline", [[(100, 100), (300, 100), (200, 300)], [(200, 300), (300, 100), (100, 100)]]
)
def test_a_lasso_is_filled_inside_its_outline_whichever_way_it_is_drawn(
    sample: Playground, outline: list[tuple[float, float]]
) -> None:
    sample.click("Lasso")
    sample.drag(outline)
    drawn = sample.mask()
    assert drawn[105:120, 130:270].all()
    assert drawn[280, 195:205].all()
    assert not drawn[200, 100:140].any()
    assert drawn.sum() == pytest.approx(200 * 200 / 2, rel=0.03)


def test_invert_clear_and_what_they_did_undone(sample: Playground) -> None:
    sample.drag([(100, 100), (200, 200)])
    drawn = sample.mask()
    sample.press("i")
    assert np.array_equal(sample.mask(), ~drawn)
    assert sample.text("coverage") == f"{100 - drawn.mean() * 100:.1f} %"
    sample.press("Delete")
    assert sample.text("coverage") == "0 %"
    sample.press("Control+z", "Control+z")
    assert np.array_equal(sample.mask(), drawn)


def test_brackets_and_the_wheel_change_the_brush(sample: Playground) -> None:
    sample.set_size(50)
    sample.press("]")
    assert sample.text("size-text") == "60 px"
    sample.press("[", "[")
    assert sample.text("size-text") == "41 px"
    sample.page.mouse.move(*sample.at((250, 250)))
    sample.page.mouse.wheel(0, -100)
    expect(sample.page.locator("#size-text")).to_have_text("50 px")
    sample.page.mouse.wheel(0, 100)
    expect(sample.page.locator("#size-text")).to_have_text("41 px")


def test_strokes_stay_where_they_are_drawn_at_any_zoom(sample: Playground) -> None:
    sample.set_size(20)
    x, y = sample.at((400, 100))
    sample.page.mouse.move(x, y)
    sample.page.keyboard.down("Control")
    sample.page.mouse.wheel(0, -600)
    sample.page.keyboard.up("Control")
    expect(sample.page.locator("#zoom-text")).not_to_have_text(f"{sample.box()[2] * 100:.0f} %")
    sample.page.mouse.down()
    sample.page.mouse.up()
    assert differing(sample.mask(), disc(10, (400, 100))) < 60
    sample.press("0")
    expect(sample.page.locator("#zoom-text")).to_have_text(f"{sample.box()[2] * 100:.0f} %")


def test_the_space_bar_and_the_hand_move_the_picture(sample: Playground) -> None:
    sample.set_size(20)
    field = sample.page.locator("#canvas")
    field.focus()
    sample.page.keyboard.down("Space")
    sample.drag([(250, 250), (350, 300)])
    sample.page.keyboard.up("Space")
    assert sample.mask().sum() == 0
    sample.page.mouse.click(*sample.at((350, 300)))
    assert differing(sample.mask(), disc(10, (250, 250))) < 60


def test_a_mask_that_was_saved_can_be_loaded_again(sample: Playground, tmp_path: Path) -> None:
    sample.drag([(60, 400), (420, 300)])
    drawn = sample.mask()
    saved = tmp_path / "mask.png"
    Image.fromarray(drawn).save(saved)
    sample.click("Clear the mask")
    sample.page.locator("#mask-file").set_input_files(saved)
    expect(sample.page.locator("#coverage")).not_to_have_text("0 %")
    assert np.array_equal(sample.mask(), drawn)


def test_a_mask_is_read_as_the_service_reads_it(sample: Playground, tmp_path: Path) -> None:
    """Gray from 128 up means fill, and what is transparent is kept whatever its colour."""
    mask = Image.new("RGBA", (512, 512), (255, 255, 255, 0))
    mask.paste((128, 128, 128, 255), (100, 200, 200, 400))
    mask.paste((127, 127, 127, 255), (300, 200, 400, 400))
    mask.save(tmp_path / "mask.png")
    sample.page.locator("#mask-file").set_input_files(tmp_path / "mask.png")
    expect(sample.page.locator("#coverage")).not_to_have_text("0 %")
    expected = np.zeros((512, 512), np.bool_)
    expected[200:400, 100:200] = True
    assert np.array_equal(sample.mask(), expected)


def test_a_mask_of_another_shape_is_refused_with_both_sizes(sample: Playground, tmp_path: Path) -> None:
    wrong = tmp_path / "wide.png"
    Image.new("L", (300, 100), 255).save(wrong)
    sample.page.locator("#mask-file").set_input_files(wrong)
    expect(sample.page.get_by_role("alert")).to_contain_text("300 × 100 pixels, but the picture is 512 × 512")
    assert sample.text("coverage") == "0 %"


def test_what_is_no_picture_is_refused_in_words(page: Playground, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear browser")
    page.open_file(tmp_path / "letter.jpg")
    expect(page.page.get_by_role("alert")).to_contain_text("This browser can't show letter.jpg")


def test_a_turned_photo_is_masked_as_it_is_displayed(page: Playground, tmp_path: Path) -> None:
    turned = photo(size=(300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.save(tmp_path / "turned.jpg", exif=exif)
    page.open_file(tmp_path / "turned.jpg")
    page.await_size("200 × 300")
    page.click("Rectangle")
    page.drag([(0, 0), (200, 50)])
    drawn = page.mask()
    assert drawn.shape == (300, 200)
    assert drawn[:48].all()
    assert not drawn[52:].any()


def test_a_picture_is_pasted_and_dropped(page: Playground) -> None:
    give = """async ([kind, target]) => {
        const file = await (await fetch("playground/sample.jpg")).blob();
        const data = new DataTransfer();
        data.items.add(new File([file], `${kind}.jpg`, {type: "image/jpeg"}));
        const options = {bubbles: true, cancelable: true};
        const event = kind === "paste"
            ? new ClipboardEvent("paste", {...options, clipboardData: data})
            : new DragEvent("drop", {...options, dataTransfer: data});
        document.querySelector(target).dispatchEvent(event);
    }"""
    page.evaluate(give, ["paste", "body"])
    page.await_size("512 × 512")
    expect(page.page.locator("#announcer")).to_have_text("paste.jpg is open, 512 by 512 pixels.")
    page.evaluate(give, ["drop", "#canvas"])
    expect(page.page.locator("#announcer")).to_have_text("drop.jpg is open, 512 by 512 pixels.")


def test_a_photo_of_50_megapixels_has_a_mask_of_its_own_size(page: Playground, tmp_path: Path) -> None:
    large = photo(size=(400, 250)).resize((8944, 5590))
    large.save(tmp_path / "large.jpg", quality=60)
    page.open_file(tmp_path / "large.jpg")
    page.await_size("8944 × 5590")
    page.set_size(500)
    page.drag([(2000, 2000), (6000, 3000)])
    drawn = page.mask()
    assert drawn.shape == (5590, 8944)
    assert drawn[2000, 2000]
    assert drawn.sum() == pytest.approx(500 * np.hypot(4000, 1000) + np.pi * 250**2, rel=0.02)


def test_the_keyboard_alone_draws(sample: Playground) -> None:
    sample.page.locator("#canvas").focus()
    sample.set_size(30)
    sample.page.locator("#canvas").focus()
    sample.press("Enter", *["ArrowRight"] * 5, "Enter")
    drawn = sample.mask()
    rows, columns = np.nonzero(drawn)
    assert rows.mean() == pytest.approx(256, abs=1)
    assert columns.min() == pytest.approx(241, abs=2)
    assert columns.max() > 280
    sample.page.locator("#canvas").focus()
    sample.press("r", "Enter", *["ArrowDown"] * 6, *["ArrowRight"] * 3, "Escape")
    assert np.array_equal(sample.mask(), drawn), "what is stopped leaves no trace"


def test_single_keys_can_be_turned_off(sample: Playground) -> None:
    sample.press("?")
    sample.page.get_by_label("Single keys work without Ctrl").uncheck()
    sample.click("Close")
    sample.press("i")
    assert sample.text("coverage") == "0 %"
    sample.page.keyboard.press("?")
    expect(sample.page.get_by_role("dialog")).to_be_hidden()


def test_one_finger_draws_and_two_zoom(open_page: Callable[..., Playground]) -> None:
    page = open_page(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    page.open_sample()
    page.click("Clear the mask")
    fingers = page.context.new_cdp_session(page.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    first, last = page.at((100, 120)), page.at((400, 120))  # apart from the pinch
    touch("touchStart", first)
    touch("touchMove", last)
    touch("touchEnd")
    drawn = page.mask()
    assert drawn[120, 110:390].all()
    assert not drawn[256].any()

    page.page.locator("#canvas").scroll_into_view_if_needed()
    middle = page.at((256, 256))
    before = page.text("zoom-text")
    touch("touchStart", (middle[0] - 30, middle[1]))
    touch("touchStart", (middle[0] - 30, middle[1]), (middle[0] + 30, middle[1]))
    touch("touchMove", (middle[0] - 90, middle[1]), (middle[0] + 90, middle[1]))
    touch("touchEnd")
    expect(page.page.locator("#zoom-text")).not_to_have_text(before)
    assert np.array_equal(page.mask(), drawn), "a pinch leaves no stroke"

"""Masks of every mode and polarity, in the picture's display size, or a clear refusal."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from service.contracts import MaskPolarity
from service.errors import InvalidPicture
from service.imaging.mask import decode_mask
from service.imaging.picture import Flags
from tests.unit.imaging.pictures import MAX_PIXELS, box_mask, encoded, flat, noise

SIZE = (40, 30)
BOX = (10, 5, 20, 15)
WHITE, BLACK, TRANSPARENT = MaskPolarity.WHITE, MaskPolarity.BLACK, MaskPolarity.TRANSPARENT


def flags_of(data: bytes, polarity: MaskPolarity = WHITE, size: tuple[int, int] = SIZE) -> Flags:
    return decode_mask(data, size, polarity, max_pixels=MAX_PIXELS)


def expected(box: tuple[int, int, int, int] = BOX, size: tuple[int, int] = SIZE) -> Flags:
    flags = np.zeros((size[1], size[0]), np.bool_)
    flags[box[1] : box[3], box[0] : box[2]] = True
    return flags


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_white_means_fill_in_every_mode(mode: str) -> None:
    gray = box_mask(*SIZE, BOX)
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    mask = deep if mode == "I;16" else gray.convert(mode)
    np.testing.assert_array_equal(flags_of(encoded(mask, "TIFF")), expected())


def test_black_means_fill_if_asked_for() -> None:
    mask = box_mask(*SIZE, BOX).point([255 - level for level in range(256)])
    np.testing.assert_array_equal(flags_of(encoded(mask), BLACK), expected())


def test_transparent_means_fill_if_asked_for() -> None:
    mask = flat("RGBA", (255, 255, 255, 255), *SIZE)
    mask.paste((0, 0, 0, 0), BOX)
    np.testing.assert_array_equal(flags_of(encoded(mask), TRANSPARENT), expected())


@pytest.mark.parametrize(("color", "polarity"), [("white", WHITE), ("black", BLACK)])
def test_transparent_parts_of_a_mask_keep_the_photo(color: str, polarity: MaskPolarity) -> None:
    mask = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    mask.paste(Image.new("RGBA", (10, 10), color), BOX[:2])
    np.testing.assert_array_equal(flags_of(encoded(mask), polarity), expected())


def test_a_transparent_white_pixel_selects_nothing() -> None:
    mask = Image.new("RGBA", SIZE, (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), BOX)
    np.testing.assert_array_equal(flags_of(encoded(mask)), expected())


@pytest.mark.parametrize(("level", "count"), [(127, 100), (128, 1200)])
def test_the_threshold_is_128(level: int, count: int) -> None:
    mask = flat("L", level, *SIZE)
    mask.paste(255, BOX)
    assert np.count_nonzero(flags_of(encoded(mask))) == count


def test_dark_sixteen_bit_gray_is_not_clipped_to_white() -> None:
    deep = np.full((30, 40), 20_000, np.uint16)
    deep[5:15, 10:20] = 40_000
    np.testing.assert_array_equal(flags_of(encoded(Image.fromarray(deep))), expected())


def test_a_color_key_counts_as_transparent() -> None:
    data = encoded(box_mask(*SIZE, BOX).point([255 - level for level in range(256)]), transparency=0)
    np.testing.assert_array_equal(flags_of(data, TRANSPARENT), expected())


def test_a_mask_is_turned_by_its_own_orientation() -> None:
    exif = Image.Exif()
    exif[274] = 6
    stored = box_mask(*SIZE, BOX).transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(flags_of(encoded(stored, exif=exif)), expected())


@pytest.mark.parametrize("scale", [2, 4])
def test_a_mask_of_the_same_aspect_is_resized(scale: int) -> None:
    mask = box_mask(*SIZE, BOX)
    large = tuple(side * scale for side in SIZE)
    flags = flags_of(encoded(mask), size=(large[0], large[1]))
    np.testing.assert_array_equal(flags[scale // 2 :: scale, scale // 2 :: scale], expected())


def test_a_mask_rounded_to_whole_pixels_still_fits() -> None:
    assert flags_of(encoded(box_mask(333, 251, (50, 50, 99, 99))), size=(1000, 753)).shape == (753, 1000)


def refused(data: bytes, polarity: MaskPolarity = WHITE, size: tuple[int, int] = SIZE) -> InvalidPicture:
    with pytest.raises(InvalidPicture) as caught:
        flags_of(data, polarity, size)
    return caught.value


def test_a_mask_of_another_aspect_is_refused_with_both_sizes() -> None:
    error = refused(encoded(box_mask(30, 40, (1, 1, 9, 9))))
    assert error.code == "mask_size_mismatch"
    assert "30 x 40" in error.detail
    assert "40 x 30" in error.detail


@pytest.mark.parametrize(
    ("color", "polarity", "words"),
    [(0, WHITE, "to black"), (255, BLACK, "to white"), (0, TRANSPARENT, "alpha")],
)
def test_an_empty_mask_is_refused_and_the_other_polarity_named(
    color: int, polarity: MaskPolarity, words: str
) -> None:
    error = refused(encoded(flat("L", color, *SIZE)), polarity)
    assert error.code == "empty_mask"
    assert words in error.detail


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_an_image"),
        (b"no picture", "not_an_image"),
        (encoded(noise("L", 200, 150))[:5000], "truncated_image"),
        (encoded(flat("L", 255, 4, 3)), "picture_too_small"),
        (encoded(Image.new("F", SIZE), "TIFF"), "unsupported_picture"),
    ],
)
def test_a_mask_that_is_no_picture_is_refused_by_name(data: bytes, code: str) -> None:
    error = refused(data)
    assert error.code == code
    assert "The mask" in error.detail


def test_a_full_mask_is_taken() -> None:
    assert flags_of(encoded(flat("L", 255, *SIZE))).all()


def test_a_thin_stroke_of_a_larger_mask_does_not_vanish() -> None:
    mask = Image.new("L", (2_048, 2_048))
    mask.paste(255, (1_001, 300, 1_002, 900))
    flags = flags_of(encoded(mask), size=(512, 512))
    assert flags[75:225, 250].all()
    assert flags.sum() == 150

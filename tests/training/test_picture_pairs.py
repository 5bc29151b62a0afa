"""A benchmark's folders: what is measured, what is skipped and listed, what is refused at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.training.evaluation_data import SIDE, photo, write_pairs
from training.errors import DataError
from training.picture_pairs import BadPicture, PictureSet, find_pairs, read_pair


def picture_set(folder: Path, count: int = 2) -> PictureSet:
    pictures, masks = write_pairs(folder, count)
    return PictureSet("a set", pictures, masks, SIDE)


def test_a_picture_and_the_mask_of_its_name_are_a_pair_whatever_their_suffix(tmp_path: Path) -> None:
    wanted = picture_set(tmp_path, 2)
    below = wanted.pictures / "more"
    below.mkdir()
    (wanted.pictures / "001.png").rename(below / "001.png")
    (wanted.masks / "more").mkdir()
    with Image.open(wanted.masks / "001.png") as mask:
        mask.save(wanted.masks / "more" / "001.webp", lossless=True)
    pairs, skipped = find_pairs(wanted)
    assert [pair.name for pair in pairs] == ["000", "more/001"]
    assert skipped == []
    case = read_pair(pairs[1], SIDE)
    assert np.array_equal(case.photo, photo(1))
    assert case.hole[9:33, 16:40].all()
    assert case.hole.sum() == 24 * 24


def test_a_picture_without_a_mask_is_listed(tmp_path: Path) -> None:
    wanted = picture_set(tmp_path)
    (wanted.masks / "001.png").unlink()
    pairs, skipped = find_pairs(wanted)
    assert [pair.name for pair in pairs] == ["000"]
    assert [(one.name, "no mask" in one.reason) for one in skipped] == [("001", True)]


@pytest.mark.parametrize("folder", ["pictures", "masks"])
def test_a_picture_or_mask_of_another_size_is_bad(tmp_path: Path, folder: str) -> None:
    wanted = picture_set(tmp_path, 1)
    Image.new("RGB", (SIDE, 32), "white").save(tmp_path / folder / "000.png")
    with pytest.raises(BadPicture, match=r"000\.png is 64 x 32, the set's size is 64 x 64"):
        read_pair(find_pairs(wanted)[0][0], SIDE)


def test_a_file_that_is_no_picture_and_a_mask_of_nothing_are_bad(tmp_path: Path) -> None:
    wanted = picture_set(tmp_path)
    (wanted.pictures / "000.png").write_bytes(b"no picture")
    Image.new("L", (SIDE, SIDE)).save(wanted.masks / "001.png")
    pairs, _ = find_pairs(wanted)
    with pytest.raises(BadPicture, match="can't be read"):
        read_pair(pairs[0], SIDE)
    with pytest.raises(BadPicture, match="black"):
        read_pair(pairs[1], SIDE)


def test_folders_that_are_missing_empty_or_ambiguous_are_refused(tmp_path: Path) -> None:
    wanted = picture_set(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="is not a folder"):
        find_pairs(PictureSet("a", wanted.pictures, tmp_path / "nowhere", SIDE))
    with pytest.raises(DataError, match="holds no picture"):
        find_pairs(PictureSet("a", empty, wanted.masks, SIDE))
    Image.new("L", (SIDE, SIDE)).save(wanted.masks / "000.jpg")
    with pytest.raises(DataError, match="have one name"):
        find_pairs(wanted)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".."])
def test_a_set_is_named_as_a_folder_can_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        PictureSet(name, tmp_path, tmp_path, SIDE)

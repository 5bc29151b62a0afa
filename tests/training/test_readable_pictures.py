"""Bad pictures: skipped, listed, and replaced by the same others every time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.picture_files import grey, square_mask, truncated_jpeg, write_files
from training.errors import DataError
from training.picture_list import open_picture_list
from training.readable_pictures import ReadablePictures, write_skipped

ROOT = Path(__file__).resolve().parents[2]


def level(pictures: ReadablePictures, index: int) -> int:
    return int(pictures.read(index).pixels[0, 0, 0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures 0 and 3 are good."""
    return write_files(
        tmp_path,
        {
            "0.png": grey(10),
            "1.jpg": truncated_jpeg(),
            "2.png": b"no picture",
            "3.png": grey(13),
            "4.png": grey(14, size=(200, 63)),
        },
    )


def test_the_next_good_picture_stands_in_for_a_bad_one(folder: Path) -> None:
    pictures = ReadablePictures(open_picture_list(folder))
    assert [level(pictures, index) for index in range(5)] == [10, 13, 13, 13, 10]
    again = ReadablePictures(open_picture_list(folder))
    assert level(again, 2) == 13  # whatever was asked for before


def test_what_was_skipped_is_listed_with_its_reason(folder: Path, tmp_path: Path) -> None:
    pictures = ReadablePictures(open_picture_list(folder))
    for index in range(5):
        pictures.read(index)
    skipped = pictures.take_skipped()
    assert sorted(skipped) == ["1.jpg", "2.png", "4.png"]
    assert skipped["4.png"] == "200 x 63 pixels; the shortest side allowed is 64"
    assert pictures.take_skipped() == {}
    write_skipped(tmp_path / "skipped.tsv", skipped | {"5.png": "a reason\tof two\nlines"})
    header, *rows = (tmp_path / "skipped.tsv").read_text().splitlines()
    assert header == "entry\treason"
    assert [row.split("\t")[0] for row in rows] == ["1.jpg", "2.png", "4.png", "5.png"]
    assert rows[3] == "5.png\ta reason of two lines"


def test_a_process_that_lists_the_same_in_between_disturbs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "skipped.tsv"
    job = (
        "from pathlib import Path; from training.readable_pictures import write_skipped; "
        f"write_skipped(Path({str(path)!r}), {{'a.png': 'damaged'}})"
    )
    rename = Path.replace

    def rename_after_the_other(partial: Path, target: Path) -> Path:
        subprocess.run([sys.executable, "-c", job], cwd=ROOT, check=True)
        return rename(partial, target)

    monkeypatch.setattr(Path, "replace", rename_after_the_other)
    write_skipped(path, {"a.png": "damaged"})
    assert path.read_text() == "entry\treason\na.png\tdamaged\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_list_of_bad_pictures_only_is_an_error(tmp_path: Path) -> None:
    write_files(tmp_path, {f"{index:03d}.png": b"" for index in range(150)})
    with pytest.raises(DataError, match=r"100 entries in a row, of 150, can't be used; the last is 099\.png"):
        ReadablePictures(open_picture_list(tmp_path)).read(0)


def test_a_picture_that_the_list_names_and_the_disk_has_not_is_skipped(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.png": grey(10)})
    path = tmp_path / "list.jsonl"
    path.write_text(
        '{"image": "gone.png", "prompt": "background"}\n{"image": "a.png", "prompt": "background"}'
    )
    pictures = ReadablePictures(open_picture_list(path))
    assert level(pictures, 0) == 10
    assert "no such file" in pictures.take_skipped()["gone.png"]


def test_a_cache_keeps_what_was_read(folder: Path) -> None:
    cached, fresh = (ReadablePictures(open_picture_list(folder), cache=cache) for cache in (True, False))
    assert level(cached, 0) == level(fresh, 0) == 10
    (folder / "0.png").write_bytes(grey(99))
    assert level(cached, 0) == 10
    assert level(fresh, 0) == 99


def test_masks_of_objects_are_read_without_their_pictures(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {"a.png": b"no picture", "b.png": grey(1), "m/a.png": square_mask(), "m/b.png": b"no mask"},
    )
    pictures = ReadablePictures(open_picture_list(tmp_path, masks=tmp_path / "m", prompt="foreground"))
    assert pictures.foreground.tolist() == [0, 1]
    assert [int(pictures.read_object_mask(number).sum()) for number in (0, 1)] == [24 * 16] * 2
    assert list(pictures.take_skipped()) == ["b.png"]

"""The three forms of training data, and the clear errors before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.picture_files import grey, square_mask, write_files, write_tar
from training.categories import BACKGROUND, FOREGROUND
from training.errors import DataError
from training.json_lines import JsonLines
from training.listed_picture import PictureList
from training.picture_folder import PictureFolder
from training.picture_list import open_picture_list
from training.tar_shards import TarShards, expand_braces, find_shards


def lines(folder: Path, *entries: object) -> Path:
    path = folder / "list.jsonl"
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return path


def levels(pictures: PictureList) -> list[int]:
    """The grey level of every picture: which they are, and in which order."""
    return [int(pictures.read(index).pixels[0, 0, 0]) for index in range(len(pictures))]


def test_json_lines_name_pictures_and_masks_relative_to_their_folder(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.png": grey(1), "deep/b.jpg": grey(2, "JPEG"), "m.png": square_mask()})
    pictures = open_picture_list(
        lines(
            tmp_path,
            {"image": "a.png", "mask": "m.png", "prompt": "foreground"},
            {"image": "deep/b.jpg", "prompt": "background"},
        )
    )
    assert isinstance(pictures, JsonLines)
    assert levels(pictures) == [1, 2]
    assert pictures.categories.tolist() == [FOREGROUND, BACKGROUND]
    assert pictures.read(0).mask is not None
    assert pictures.read(1).mask is None
    assert pictures.name(1) == "deep/b.jpg"


def test_blank_lines_and_a_missing_last_newline_do_not_matter(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.png": grey(1), "b.png": grey(2)})
    path = tmp_path / "list.jsonl"
    path.write_text(
        '\n{"image": "a.png", "prompt": "background"}\n\n{"image": "b.png", "prompt": "background"}'
    )
    assert levels(open_picture_list(path)) == [1, 2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Invalid JSON"),
        ('["a.png"]', "object"),
        ('{"prompt": "background"}', "image"),
        ('{"image": "", "prompt": "background"}', "image"),
        ('{"image": "a.png"}', "prompt"),
        ('{"image": "a.png", "prompt": "sky"}', "'background' or 'foreground'"),
        ('{"image": "a.png", "maks": "m.png", "prompt": "background"}', "maks"),
        ('{"image": "a.png", "prompt": "foreground"}', 'needs a "mask"'),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(f'{{"image": "a.png", "prompt": "background"}}\n\n{line}\n')
    with pytest.raises(DataError, match=reason) as raised:
        open_picture_list(path)
    assert f"{path}, line 3: " in str(raised.value)


def test_a_folder_is_read_with_its_subfolders_in_the_order_of_paths(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "b.PNG": grey(3),
            "a.jpg": grey(1, "JPEG"),
            "below/c.webp": grey(9, "WEBP"),
            "a/d.jpeg": grey(2, "JPEG"),
            "notes.txt": b"no picture",
        },
    )
    pictures = open_picture_list(tmp_path)
    assert isinstance(pictures, PictureFolder)
    assert pictures.paths == ["a.jpg", "a/d.jpeg", "b.PNG", "below/c.webp"]
    assert levels(pictures)[:3] == [1, 2, 3]
    assert set(pictures.categories.tolist()) == {BACKGROUND}
    assert pictures.read(0).mask is None


def test_masks_of_the_same_name_belong_to_the_pictures_of_a_folder(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {"deep/a.b.jpg": grey(1), "c.png": grey(2), "masks/deep/a.b.png": square_mask()},
    )
    pictures = open_picture_list(tmp_path, masks=tmp_path / "masks", prompt="foreground")
    assert [pictures.name(index) for index in range(len(pictures))] == ["c.png", "deep/a.b.jpg"]
    mask = pictures.read(1).mask
    assert mask is not None
    assert mask.sum() == 24 * 16
    assert pictures.mask_bytes(0) is None


def test_shards_are_read_at_any_place_in_any_order(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "s-0.tar",
        {
            "x/1.jpg": grey(1, "JPEG"),
            "x/1.txt": b"background\n",
            "x/2.mask.png": square_mask(),
            "x/2.json": b'{"prompt": "foreground", "caption": "a frog"}',
            "x/2.png": grey(2),
        },
    )
    write_tar(tmp_path / "s-1.tar", {"3.webp": grey(3, "WEBP"), "3.json": b'{"caption": "sand"}'})
    pictures = open_picture_list(tmp_path / "s-{0..1}.tar")
    assert isinstance(pictures, TarShards)
    assert [int(pictures.read(index).pixels[0, 0, 0]) for index in (2, 0, 1)] == [3, 1, 2]
    assert pictures.categories.tolist() == [BACKGROUND, FOREGROUND, BACKGROUND]
    mask = pictures.read(1).mask
    assert mask is not None
    assert mask.sum() == 24 * 16
    assert pictures.read(0).mask is None
    assert pictures.name(1) == f"{tmp_path / 's-0.tar'}, x/2"


@pytest.mark.parametrize("path", ["", "*.tar", "s-{0..1}.tar"])
def test_a_folder_a_pattern_and_a_range_give_the_same_shards(tmp_path: Path, path: str) -> None:
    write_tar(tmp_path / "s-0.tar", {"1.png": grey(1)})
    write_tar(tmp_path / "s-1.tar", {"1.png": grey(2)})
    assert levels(open_picture_list(tmp_path / path)) == [1, 2]


def test_pictures_without_a_prompt_have_that_of_the_recipe(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"1.png": grey(1), "1.mask.png": square_mask()})
    assert open_picture_list(path, prompt="foreground").categories.tolist() == [FOREGROUND]


def test_an_index_that_was_kept_is_used_until_the_shard_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "s.tar", {"1.png": grey(1)})
    kept = tmp_path / "index"
    assert levels(open_picture_list(path, index_folder=kept)) == [1]
    with monkeypatch.context() as patch:
        patch.delattr("training.tar_index.tarfile.open")  # no shard is read again
        assert levels(open_picture_list(path, index_folder=kept)) == [1]
    write_tar(path, {"1.png": grey(1), "2.png": grey(2)})
    assert levels(open_picture_list(path, index_folder=kept)) == [1, 2]
    for stored in kept.iterdir():
        stored.write_text("cut o")
    assert levels(open_picture_list(path, index_folder=kept)) == [1, 2]


def test_a_key_without_a_picture_is_an_entry_that_cannot_be_used(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"1.png": grey(1), "2.txt": b"background"})
    with pytest.raises(DataError, match="no picture"):
        open_picture_list(path).read(1)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (
            {"1.png": grey(1), "1.txt": b"a photo of a frog"},
            r"s\.tar, 1\.txt: the prompt is 'a photo of a frog'",
        ),
        ({"1.png": grey(1), "1.json": b"{"}, r"s\.tar, 1\.json is not JSON"),
        ({"1.png": grey(1), "1.json": b"[1]"}, "must be a JSON object"),
        ({"1.png": grey(1), "1.txt": b"\xff\xfe"}, "is not UTF-8"),
        (
            {"1.png": grey(1), "1.txt": b"foreground"},
            r"s\.tar, 1: the prompt is foreground, which needs a mask",
        ),
        ({"1.txt": b"background"}, r"s\.tar holds no \.jpg"),
    ],
)
def test_a_wrong_shard_is_named(tmp_path: Path, members: dict[str, bytes], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        open_picture_list(write_tar(tmp_path / "s.tar", members))


def test_a_shard_that_is_cut_off_or_compressed_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"1.png": grey(1), "2.png": grey(2)})
    whole = path.read_bytes()
    for size in (300, 600, 1024, 1200, 1700):  # in a header, in a picture, between members, ...
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"s\.tar is not a whole, uncompressed tar file"):
            open_picture_list(path)
    path.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(DataError, match=r"s\.tar is not a whole, uncompressed tar file"):
        open_picture_list(path)


def test_missing_shards_of_a_range_are_counted_and_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "s-08.tar", {"1.png": grey(1)})
    with pytest.raises(DataError, match=r"2 of 3 shards of .* are missing: .*s-09\.tar, .*s-10\.tar"):
        find_shards(tmp_path / "s-{08..10}.tar")


def test_ranges_in_braces_keep_their_zeros_and_combine() -> None:
    assert expand_braces("a-{098..100}.tar") == ["a-098.tar", "a-099.tar", "a-100.tar"]
    assert expand_braces("{0..1}/{8..9}.tar") == ["0/8.tar", "0/9.tar", "1/8.tar", "1/9.tar"]
    with pytest.raises(DataError, match="is empty"):
        expand_braces("{3..2}.tar")


def test_data_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "data.csv").write_text("a,b")
    for name, reason in [
        ("missing", "there is no .*missing: give a JSON-lines file"),
        ("missing.jsonl", "there is no .*missing.jsonl"),
        ("missing.tar", "1 of 1 shards .* are missing"),
        ("*.tar", "are missing"),
        ("empty", "no .jpg, .* in or below .*empty"),
        ("empty.jsonl", "is empty"),
        ("data.csv", "none of the forms"),
    ]:
        with pytest.raises(DataError, match=reason):
            open_picture_list(tmp_path / name)


def test_settings_that_do_not_fit_the_data_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"pictures/a.png": grey(1), "masks/notes.txt": b""})
    for options, reason in [
        ({"prompt": "sky"}, "the prompt is 'sky'; it must be one of: background, foreground"),
        ({"prompt": "foreground"}, "needs masks"),
        ({"masks": tmp_path / "elsewhere"}, "there is no folder .*elsewhere"),
        ({"masks": tmp_path / "masks"}, "in or below .*masks: give the folder of masks"),
    ]:
        with pytest.raises(DataError, match=reason):
            open_picture_list(tmp_path / "pictures", **options)  # type: ignore[arg-type]
    path = lines(tmp_path, {"image": "pictures/a.png", "prompt": "background"})
    with pytest.raises(DataError, match="goes with a folder of pictures"):
        open_picture_list(path, masks=tmp_path / "masks")

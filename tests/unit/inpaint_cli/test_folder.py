"""What is to do in a folder: photos, their masks, their outputs, and what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.contracts import OutputFormat, Params
from service.inpaint_cli.folder import Folder, UnknownMaskError, mask_beside
from service.inpaint_cli.task import Outcome, Task


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("photos", "masks", "filled"):
        (tmp_path / name).mkdir()
    return tmp_path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def planned(
    root: Path, masks: str | None = "masks", *, recursive: bool = False, **params: object
) -> list[str]:
    """Each photo, and its mask and output, or why it has none."""
    overwrite = bool(params.pop("overwrite", False))
    folder = Folder(root / "photos", root / masks if masks else None, root / "filled", recursive)
    told = []
    for each in folder.plan(Params.model_validate(params), overwrite=overwrite):
        name = each.photo.relative_to(root / "photos").as_posix()
        if isinstance(each, Task):
            output = each.output.relative_to(root / "filled").as_posix()
            told.append(f"{name} {each.mask.relative_to(root).as_posix()} {output}")
        else:
            assert isinstance(each, Outcome)
            told.append(f"{name} {each.failure.code if each.failure else each.status}")
    return told


def test_a_photo_has_the_mask_of_its_name(root: Path) -> None:
    touch(root / "photos", "b.jpg", "a.JPG", "c.tiff", ".hidden.png", "notes.txt")
    touch(root / "masks", "a.png", "b_mask.png", "c.tiff", "d.png")
    assert planned(root) == [
        "a.JPG masks/a.png a.JPG",
        "b.jpg masks/b_mask.png b.jpg",
        "c.tiff masks/c.tiff c.tiff",
    ]


def test_one_mask_is_for_all(root: Path) -> None:
    touch(root, "logo.png")
    touch(root / "photos", "a.jpg", "b_mask.jpg")
    assert planned(root, "logo.png") == ["a.jpg logo.png a.jpg", "b_mask.jpg logo.png b_mask.jpg"]


def test_masks_beside_the_photos_are_no_photos(root: Path) -> None:
    touch(root / "photos", "a.jpg", "a_mask.png", "b.png", "b_mask.png")
    expected = ["a.jpg photos/a_mask.png a.jpg", "b.png photos/b_mask.png b.png"]
    assert planned(root, None) == expected


def test_a_photo_without_a_mask_or_with_several_fails_alone(root: Path) -> None:
    touch(root / "photos", "a.jpg", "b.jpg", "c.jpg")
    touch(root / "masks", "a.png", "b.png", "b.webp")
    assert planned(root) == ["a.jpg masks/a.png a.jpg", "b.jpg mask_unknown", "c.jpg mask_unknown"]


def test_photos_of_one_name_have_the_masks_of_their_suffixes(root: Path) -> None:
    touch(root / "photos", "a.jpg", "a.png")
    touch(root / "masks", "a.jpg", "a.png")
    assert planned(root) == ["a.jpg masks/a.jpg a.jpg", "a.png masks/a.png a.png"]


def test_folders_in_folders_are_taken_if_asked_for(root: Path) -> None:
    touch(root / "photos", "a.jpg", "trip/b.jpg")
    touch(root / "masks", "a.png", "trip/b.png", "b.png")
    assert planned(root) == ["a.jpg masks/a.png a.jpg"]
    assert planned(root, recursive=True)[1:] == ["trip/b.jpg masks/trip/b.png trip/b.jpg"]


def test_masks_and_outputs_below_the_photos_are_no_photos(root: Path) -> None:
    photos = root / "photos"
    touch(photos, "a.jpg", "masks/a.png", "filled/z.jpg")
    plan = Folder(photos, photos / "masks", photos / "filled", recursive=True).plan(Params(), overwrite=False)
    assert [each.photo.name for each in plan] == ["a.jpg"]


def test_another_format_has_another_suffix(root: Path) -> None:
    touch(root, "m.png")
    touch(root / "photos", "a.jpg", "b.jpeg", "c.png")
    outputs = [line.split()[2] for line in planned(root, "m.png", output_format=OutputFormat.JPEG)]
    assert outputs == ["a.jpg", "b.jpeg", "c.jpg"]


def test_two_photos_never_become_one_file(root: Path) -> None:
    touch(root, "m.png")
    touch(root / "photos", "a.jpg", "a.png")
    assert planned(root, "m.png", output_format="png") == ["a.jpg m.png a.png", "a.png output_taken"]


def test_what_is_there_is_skipped_unless_it_is_to_be_done_again(root: Path) -> None:
    touch(root, "m.png")
    touch(root / "photos", "a.jpg", "b.jpg")
    touch(root / "filled", "a.jpg", ".b.jpg.1234.part")
    assert planned(root, "m.png") == ["a.jpg skipped", "b.jpg m.png b.jpg"]
    assert planned(root, "m.png", overwrite=True)[0] == "a.jpg m.png a.jpg"


def test_candidates_are_done_when_all_of_them_are_there(root: Path) -> None:
    touch(root, "m.png")
    touch(root / "photos", "a.jpg", "b.jpg")
    touch(root / "filled", "a-7.jpg", "a-8.jpg", "b-7.jpg", "b-best.jpg")
    assert planned(root, "m.png", n=2, seed=7) == ["a.jpg skipped", "b.jpg m.png b.jpg"]
    assert planned(root, "m.png", n=2) == ["a.jpg skipped", "b.jpg m.png b.jpg"]
    assert planned(root, "m.png", n=2, seed=9)[0] == "a.jpg m.png a.jpg"


def test_each_photo_has_a_seed_of_its_own_unless_one_is_given(root: Path) -> None:
    touch(root, "m.png")
    touch(root / "photos", *(f"{index}.jpg" for index in range(5)))
    folder = Folder(root / "photos", root / "m.png", root / "filled")
    drawn = [each.params.seed for each in folder.plan(Params(), overwrite=False) if isinstance(each, Task)]
    given = [
        each.params.seed for each in folder.plan(Params(seed=3), overwrite=False) if isinstance(each, Task)
    ]
    assert len(set(drawn)) == 5
    assert set(given) == {3}


def test_the_mask_of_a_single_photo_is_found_beside_it(root: Path) -> None:
    touch(root, "a.jpg", "a_mask.webp")
    assert mask_beside(root / "a.jpg") == root / "a_mask.webp"
    with pytest.raises(UnknownMaskError, match="b_mask with the suffix of a picture"):
        mask_beside(root / "b.jpg")


def test_photos_whose_effective_masks_would_be_one_file_are_not_both_filled(root: Path) -> None:
    touch(root / "photos", "a.jpg", "a.png", "deep/b.jpg")
    touch(root, "logo.png")
    touch(root / "photos" / "counted", "b.png")
    folder = Folder(root / "photos", root / "logo.png", root / "filled", True, root / "photos" / "counted")
    first, second, third = folder.plan(Params(), overwrite=False)
    assert isinstance(first, Task)
    assert first.effective_mask == root / "photos" / "counted" / "a.png"
    assert isinstance(second, Outcome)
    assert second.failure is not None
    assert second.failure.code == "output_taken"
    assert isinstance(third, Task)
    assert third.effective_mask == root / "photos" / "counted" / "deep" / "b.png"

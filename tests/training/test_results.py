"""Results on disk: an ended run goes on, and takes over nothing that belongs to other settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from tests.training.evaluation_data import photo
from training.cases import Case
from training.masks import Mask
from training.methods import Method
from training.photos import Pixels
from training.results import ResultFolder

HOLE = np.zeros((64, 64), np.bool_)
HOLE[20:40, 20:40] = True
CASE = Case("a.jpg", photo(0), HOLE, "boxes")


@dataclass
class CountingFill:
    """Fills with grey and counts."""

    calls: list[Pixels] = field(default_factory=list)

    def __call__(self, pixels: Pixels, hole: Mask) -> Pixels:
        self.calls.append(pixels)
        return np.where(hole[..., None], np.uint8(128), pixels)


def test_a_result_is_made_once_and_read_back_whole(tmp_path: Path) -> None:
    fill = CountingFill()
    method = Method("grey", fill, "grey 128")
    first, seconds = ResultFolder(tmp_path).result(CASE, method)
    again, kept_seconds = ResultFolder(tmp_path).result(CASE, method)
    assert len(fill.calls) == 1
    assert np.array_equal(first, again)
    assert seconds == kept_seconds > 0


def test_a_result_of_other_settings_another_hole_or_another_photograph_is_made_anew(tmp_path: Path) -> None:
    fill, folder = CountingFill(), ResultFolder(tmp_path)
    method = Method("grey", fill, "grey 128")
    folder.result(CASE, method)
    folder.result(CASE, replace(method, identity="grey 129"))
    folder.result(replace(CASE, hole=~HOLE), method)
    folder.result(replace(CASE, photo=photo(1)), method)
    assert len(fill.calls) == 4


def test_a_picture_that_is_no_result_of_ours_is_replaced(tmp_path: Path) -> None:
    folder, method = ResultFolder(tmp_path), Method("grey", CountingFill(), "grey 128")
    path = folder.path(CASE, method)
    path.parent.mkdir()
    Image.new("RGB", (64, 64)).save(path)
    assert folder.result(CASE, method)[0][HOLE].mean() == 128


def test_methods_and_holes_have_files_of_their_own_below_the_folder(tmp_path: Path) -> None:
    folder, method = ResultFolder(tmp_path), Method("grey", CountingFill(), "grey 128")
    cases = [CASE, replace(CASE, kind="object"), replace(CASE, name="sub/a.jpg")]
    paths = {folder.path(case, one) for case in cases for one in (method, replace(method, name="b"))}
    assert len(paths) == 6
    assert all(path.is_relative_to(tmp_path) for path in paths)

"""Prepared graphs are found again, read only if whole, made again if not, and never more than a few."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest

from service.engine.onnx_cache import GRAPH, KEPT_PER_GRAPH, LONGEST_DRAFT, RECORD, GraphCache

KEY = {"onnxruntime": "1", "provider": "cpu", "model": "a"}


class Maker:
    """Writes a graph and the file beside it, and counts how often."""

    def __init__(self, content: str = "graph") -> None:
        self.content = content
        self.calls = 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_text(self.content)
        path.with_name(f"{path.name}.data").write_text("tensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "a-model"


def test_a_graph_is_made_once_and_found_again(folder: Path) -> None:
    make = Maker()
    paths = [GraphCache(folder, dict(KEY)).find_or_make("unet", make) for _ in range(3)]
    assert make.calls == 1
    assert paths == [paths[0]] * 3
    assert paths[0].read_text() == "graph"
    assert paths[0].with_name(f"{GRAPH}.data").read_text() == "tensors"


@pytest.mark.parametrize("changed", KEY)
def test_whatever_it_depends_on_another_value_is_another_graph(folder: Path, changed: str) -> None:
    first = GraphCache(folder, KEY).find_or_make("unet", Maker())
    make = Maker("other")
    other = GraphCache(folder, KEY | {changed: "another"}).find_or_make("unet", make)
    assert make.calls == 1
    assert (first.read_text(), other.read_text()) == ("graph", "other")


def flip_a_byte(entry: Path) -> None:
    (entry / GRAPH).write_text("grapH")


def cut_short(entry: Path) -> None:
    os.truncate(entry / f"{GRAPH}.data", 3)


def lose_a_file(entry: Path) -> None:
    (entry / f"{GRAPH}.data").unlink()


def lose_the_record(entry: Path) -> None:
    (entry / RECORD).unlink()


def garble_the_record(entry: Path) -> None:
    (entry / RECORD).write_text("{")


@pytest.mark.parametrize(
    "damage",
    [flip_a_byte, cut_short, lose_a_file, lose_the_record, garble_the_record],
    ids=lambda d: d.__name__,
)
def test_a_damaged_graph_is_made_again(
    folder: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    make, cache = Maker(), GraphCache(folder, KEY)
    damage(cache.find_or_make("unet", make).parent)
    path = cache.find_or_make("unet", make)
    assert make.calls == 2
    assert path.read_text() == "graph"
    assert path.with_name(f"{GRAPH}.data").read_text() == "tensors"
    assert "damaged" in caplog.text


def test_a_graph_that_the_runtime_does_not_take_is_made_again(folder: Path) -> None:
    make, cache = Maker(), GraphCache(folder, KEY)
    cache.find_or_make("unet", make)
    cache.make_again("unet", make)
    assert make.calls == 2


def test_what_could_not_be_made_leaves_nothing_behind(folder: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half a gr")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        GraphCache(folder, KEY).find_or_make("unet", fail)
    assert list(folder.iterdir()) == []


def test_workers_that_start_at_once_all_get_a_whole_graph(folder: Path) -> None:
    together, paths = Barrier(4), []

    def make(path: Path) -> None:
        together.wait(timeout=60)  # all are on it before the first is done
        Maker()(path)

    def start() -> None:
        paths.append(GraphCache(folder, KEY).find_or_make("unet", make))

    threads = [Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [path.read_text() for path in paths] == ["graph"] * 4
    assert [entry.name for entry in folder.iterdir()] == [paths[0].parent.name]


def test_the_latest_used_are_kept_and_older_ones_deleted(folder: Path) -> None:
    def used(version: str, age: float) -> Path:
        entry = GraphCache(folder, KEY | {"model": version}).find_or_make("unet", Maker()).parent
        os.utime(entry, (time.time() - age, time.time() - age))
        return entry

    oldest, *others = [used(str(age), 1000.0 * age) for age in range(KEPT_PER_GRAPH, 0, -1)]
    vae = GraphCache(folder, KEY).find_or_make("vae_encoder", Maker()).parent
    newest = used("newest", 0)
    assert not oldest.exists()
    assert all(entry.exists() for entry in (*others, newest, vae))


def test_the_draft_of_a_worker_that_was_killed_is_deleted_after_an_hour(folder: Path) -> None:
    GraphCache(folder, KEY).find_or_make("unet", Maker())
    old, young = folder / ".draft-old", folder / ".draft-young"
    for draft in (old, young):
        draft.mkdir()
    long_ago = time.time() - LONGEST_DRAFT - 1
    os.utime(old, (long_ago, long_ago))
    GraphCache(folder, KEY | {"model": "b"}).find_or_make("unet", Maker())
    assert (old.exists(), young.exists()) == (False, True)


def test_what_is_kept_is_private(folder: Path) -> None:
    cache = GraphCache(folder, KEY)
    for kept in (folder, cache.find_or_make("unet", Maker()).parent, cache.programs()):
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700


def test_a_folder_that_others_may_write_to_is_not_read(folder: Path) -> None:
    GraphCache(folder, KEY).find_or_make("unet", Maker())
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="others may write"):
        GraphCache(folder, KEY).find_or_make("unet", Maker())


def test_a_folder_that_can_not_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError):
        GraphCache(tmp_path / "file" / "cache", KEY).find_or_make("unet", Maker())

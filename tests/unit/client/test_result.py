"""Results are written as they came, under names that fit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from moebius_client import Candidate, InvalidInput, Result
from moebius_client.atomic_file import write_whole

ONE = Candidate(b"one", "image/png", 7)
TWO = Candidate(b"two", "image/png", 8)


def result_of(*candidates: Candidate) -> Result:
    return Result("job", "model", candidates, (), {}, ())


def test_what_the_first_candidate_has_is_the_results(tmp_path: Path) -> None:
    result = result_of(ONE, TWO)
    assert (bytes(result), result.data, result.seed, result.seeds) == (b"one", b"one", 7, (7, 8))
    assert result.save(tmp_path / "fill.png").read_bytes() == b"one"


def test_several_have_their_seeds_in_their_names(tmp_path: Path) -> None:
    paths = result_of(ONE, TWO).save_all(tmp_path / "fill.png")
    assert [(path.name, path.read_bytes()) for path in paths] == [
        ("fill-7.png", b"one"),
        ("fill-8.png", b"two"),
    ]
    assert result_of(ONE).save_all(str(tmp_path / "fill.png")) == [tmp_path / "fill.png"]


def test_a_name_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"image/png, and fill\.jpg ends with \.jpg\. Name it fill\.png"):
        ONE.save(tmp_path / "fill.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["fill.PNG", "fill", "fill.bak"])
def test_other_names_are_the_callers_choice(name: str, tmp_path: Path) -> None:
    assert ONE.save(tmp_path / name).read_bytes() == b"one"


def test_a_file_that_can_not_be_written_leaves_nothing_and_the_old_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "fill.png"
    target.write_bytes(b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(target, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("fill.png", b"old")]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/fill\.png'$"):
        write_whole(tmp_path / "nowhere" / "fill.png", b"new")


def test_a_link_is_followed_and_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    target, link, plain = tmp_path / "target.png", tmp_path / "link.png", tmp_path / "plain"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_whole(link, b"new")
    plain.touch()
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)

"""`moebius inpaint` with folders: what is done, skipped and told, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from service.cli import app
from tests.e2e.serving import PATIENCE, until
from tests.foreground import hear_interrupts
from tests.integration.edge.pictures import JPEG, MASK, PHOTO

ROOT = Path(__file__).resolve().parents[2]
RUNNER = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"})
FORMATS = {"a.jpg": "JPEG", "b.png": "PNG", "c.webp": "WEBP"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photos of different formats, their masks, and the place of work."""
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(JPEG)
    (tmp_path / "photos" / "b.png").write_bytes(PHOTO)
    Image.open(tmp_path / "photos" / "b.png").save(tmp_path / "photos" / "c.webp", lossless=True)
    for stem in "abc":
        (tmp_path / "masks" / f"{stem}.png").write_bytes(MASK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inpaint(*arguments: str) -> Result:
    return RUNNER.invoke(app, ["inpaint", *arguments, "--backend", "dummy"], catch_exceptions=False)


def told(result: Result) -> dict[str, dict[str, Any]]:
    """The lines of --json by the photo's name."""
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    return {Path(document["photo"]).name: document for document in documents}


def test_each_photo_is_filled_and_keeps_its_name_and_format(folder: Path) -> None:
    finished = inpaint("photos", "masks", "-o", "filled", "--seed", "7")
    assert finished.exit_code == 0, finished.stderr
    assert finished.stdout.splitlines() == [f"wrote filled/{name}" for name in FORMATS]
    assert finished.stderr.splitlines() == ["3 done"]
    for name, kind in FORMATS.items():
        with Image.open(folder / "filled" / name) as image:
            assert (image.format, image.size) == (kind, (96, 80))
    before, after = (np.asarray(Image.open(folder / at / "b.png")) for at in ("photos", "filled"))
    assert np.array_equal(after[:10], before[:10])
    assert not np.array_equal(after, before)


def test_bad_files_are_told_and_listed_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "photos" / "b.png").write_text("no photo")
    (folder / "masks" / "c.png").unlink()
    finished = inpaint("photos", "masks", "-o", "filled")
    assert finished.exit_code == 3
    assert finished.stdout.splitlines() == ["wrote filled/a.jpg"]
    end = finished.stderr[finished.stderr.index("1 done, 2 failed") :]
    assert "photos/b.png: " in end
    assert "photos/c.webp: There is no mask: masks/c with the suffix of a picture." in end
    assert "The same command again does what is left" in end


def test_a_file_that_can_not_be_read_is_told_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "photos" / "b.png").unlink()
    (folder / "photos" / "b.png").symlink_to("/proc/self/mem")  # to be read by nobody from its beginning
    finished = inpaint("photos", "masks", "-o", "filled", "--json")
    assert finished.exit_code == 3
    documents = told(finished)
    assert [each["status"] for each in documents.values()] == ["done", "failed", "done"]
    assert documents["b.png"]["error"]["code"] == "unreadable"
    assert "1 failed" in finished.stderr
    assert "photos/b.png: The photo can't be read" in finished.stderr


def test_the_same_command_again_does_what_is_left(folder: Path) -> None:
    whole = (folder / "masks" / "b.png").read_bytes()
    (folder / "masks" / "b.png").write_bytes(whole[:60])
    assert inpaint("photos", "masks", "-o", "filled").exit_code == 3
    first = (folder / "filled" / "a.jpg").stat().st_mtime_ns
    (folder / "masks" / "b.png").write_bytes(whole)
    again = inpaint("photos", "masks", "-o", "filled")
    assert again.exit_code == 0
    assert again.stderr.splitlines() == ["1 done, 2 skipped"]
    assert "skipped filled/a.jpg" in again.stdout
    assert (folder / "filled" / "a.jpg").stat().st_mtime_ns == first
    assert inpaint("photos", "masks", "-o", "filled", "--overwrite").stderr.splitlines() == ["3 done"]
    assert (folder / "filled" / "a.jpg").stat().st_mtime_ns > first


def test_another_program_reads_a_line_for_each_photo(folder: Path) -> None:
    (folder / "photos" / "b.png").write_bytes(PHOTO[:200])
    (folder / "filled").mkdir()
    (folder / "filled" / "c.webp").touch()
    documents = told(inpaint("photos", "masks", "-o", "filled", "--json", "--seed", "7"))
    assert {name: each["status"] for name, each in documents.items()} == {
        "a.jpg": "done",
        "b.png": "failed",
        "c.webp": "skipped",
    }
    done = documents["a.jpg"]
    assert (done["mask"], done["outputs"], done["seeds"]) == ("masks/a.png", ["filled/a.jpg"], [7])
    assert len(done["boxes"][0]) == 4
    assert {"decode", "denoise", "encode"} <= set(done["stages"])
    assert done["notes"] == []
    assert documents["b.png"]["error"]["code"] == "truncated_image"
    assert documents["b.png"]["outputs"] == []


def test_one_photo_is_told_as_a_line_too(folder: Path) -> None:
    finished = inpaint("photos/a.jpg", "masks/a.png", "-o", "out.png", "--json")
    assert told(finished)["a.jpg"]["outputs"] == ["out.png"]
    failed = inpaint("photos/a.jpg", "nowhere.png", "-o", "out.png", "--json")
    assert failed.exit_code == 1
    assert told(failed)["a.jpg"]["error"]["code"] == "unreadable"
    assert failed.stderr.count("\n") == 1


def test_the_mask_of_one_photo_may_lie_beside_it(folder: Path) -> None:
    (folder / "photos" / "a_mask.png").write_bytes(MASK)
    assert inpaint("photos/a.jpg", "-o", "out.jpg").exit_code == 0
    assert inpaint("photos", "-o", "filled").exit_code == 3  # the others have none
    assert [path.name for path in (folder / "filled").iterdir()] == ["a.jpg"]


def test_the_mask_that_counted_is_written_for_each_photo(folder: Path) -> None:
    finished = inpaint("photos", "masks", "-o", "filled", "--effective-mask", "counted", "--json")
    assert finished.exit_code == 0, finished.stderr
    assert {name: each["effective_mask"] for name, each in told(finished).items()} == {
        name: f"counted/{Path(name).stem}.png" for name in FORMATS
    }
    before, after, counted = (
        np.asarray(Image.open(folder / at / "b.png")) for at in ("photos", "filled", "counted")
    )
    assert counted.shape == (80, 96)
    assert counted.max() == 255
    assert np.array_equal(after[counted == 0], before[counted == 0])


def test_a_photo_that_is_there_without_its_effective_mask_is_told_of(folder: Path) -> None:
    arguments = ("photos/a.jpg", "masks/a.png", "-o", "out.jpg")
    assert inpaint(*arguments, "--effective-mask", "counted.png").stdout.splitlines()[:2] == [
        "wrote out.jpg",
        "wrote counted.png, the effective mask",
    ]
    inpaint("photos", "masks", "-o", "filled")
    again = inpaint("photos", "masks", "-o", "filled", "--effective-mask", "counted")
    assert again.stdout.splitlines()[0] == (
        "skipped filled/a.jpg: it is there, but its effective mask is not; --overwrite makes both anew"
    )
    inpaint("photos", "masks", "-o", "filled", "--effective-mask", "counted", "--overwrite")
    third = inpaint("photos", "masks", "-o", "filled", "--effective-mask", "counted")
    assert third.stdout.splitlines()[0] == "skipped filled/a.jpg: it is there"


@pytest.mark.parametrize("polarity", ["black", "transparent"])
def test_masks_of_another_convention_are_taken(folder: Path, polarity: str) -> None:
    white = Image.open(folder / "masks" / "a.png").convert("L")
    inverted = white.point([255 - level for level in range(256)])
    other = inverted if polarity == "black" else Image.merge("LA", (white, inverted))
    other.save(folder / "other.png")
    inpaint("photos", "masks", "-o", "filled", "--seed", "7")
    done = inpaint("photos", "other.png", "-o", "others", "--seed", "7", "--mask-polarity", polarity)
    assert done.exit_code == 0, done.stderr
    for name in FORMATS:
        assert (folder / "others" / name).read_bytes() == (folder / "filled" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("photos", "masks", "-o", "photos"), "would be written over those in photos"),
        (("photos", "masks", "-o", "masks/a.png"), "must be one, and is a file"),
        (("photos", "nowhere", "-o", "filled"), "no mask or folder of masks nowhere"),
        (("empty", "masks", "-o", "filled"), "There are no photos in empty"),
        (("photos/a.jpg", "-o", "out.jpg"), "a_mask with the suffix of a picture"),
        (("photos", "masks", "-o", "filled", "--effective-mask", "masks"), "among the files in masks"),
        (
            ("photos", "masks", "-o", "filled", "--effective-mask", "masks/a.png"),
            "must be one, and is a file",
        ),
        (("photos/a.jpg", "masks/a.png", "-o", "o.jpg", "--effective-mask", "m.jpg"), "Name it .png"),
        (
            ("photos/a.jpg", "masks/a.png", "-o", "o.png", "--effective-mask", "o.png"),
            "would be written over",
        ),
        (("photos", "masks", "-o", "filled", "--priority", "batch"), "--priority is for a service's queue"),
        (
            ("photos", "masks", "-o", "filled", "--server", "http://h:1"),
            "--backend is for filling photos here",
        ),
    ],
)
def test_wrong_usage_is_said_in_one_line(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / "empty").mkdir()
    finished = inpaint(*arguments)
    assert (finished.exit_code, finished.stderr.count("\n")) == (2, 1), finished.stderr
    assert words in finished.stderr
    assert not (folder / "filled").exists()


@contextmanager
def started(folder: Path, *arguments: str, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """The command as a user starts it; it is gone at the end of the block."""
    command = [sys.executable, "-m", "service.cli", "inpaint", *arguments, "--backend", "dummy"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, preexec_fn=hear_interrupts, **streams
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_an_interrupted_folder_is_summed_up_and_goes_on_where_it_was(folder: Path) -> None:
    for index in range(400):
        (folder / "photos" / f"z{index:03}.png").write_bytes(PHOTO)
    filled = folder / "filled"
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with started(folder, "photos", "masks/a.png", "-o", "filled", **streams) as process:
        until(lambda: (filled / "a.jpg").exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert "interrupted: " in said
    assert "not tried" in said
    assert "The same command again does what is left" in said
    assert "Traceback" not in said
    there = sorted(path.name for path in filled.iterdir())
    assert 0 < len(there) < 403
    assert not [name for name in there if name.endswith(".part")]
    for path in (folder / "photos").glob("z*"):
        path.unlink()
    again = inpaint("photos", "masks/a.png", "-o", "filled")
    assert again.exit_code == 0
    assert "skipped" in again.stderr


@pytest.mark.slow
def test_a_terminal_sees_a_bar_and_the_lines_stay_readable(folder: Path) -> None:
    terminal, other_end = pty.openpty()
    streams = {"stdout": subprocess.PIPE, "stderr": other_end}
    with started(folder, "photos", "masks", "-o", "filled", "--json", **streams) as process:
        os.close(other_end)
        seen = _read_all(terminal)
        lines, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, seen
    assert [json.loads(line)["status"] for line in lines.splitlines()] == ["done"] * 3
    assert b"of 3 photos" in seen
    assert b"3 done" in seen


def _read_all(terminal: int) -> bytes:
    """What is written there until nobody does any more, of which Linux tells by an error."""
    seen = b""
    with suppress(OSError):
        while chunk := os.read(terminal, 4096):
            seen += chunk
    os.close(terminal)
    return seen


def test_help_teaches(folder: Path) -> None:
    shown = RUNNER.invoke(app, ["inpaint", "--help"]).output
    for words in (
        "moebius inpaint photos/ masks/ -o filled/",
        "cat_mask.png",
        "--server http://gpu:8080",
        "Exit status: 0 all done",
        "Without a service",
        "How holes are filled",
        "Of a service (--server)",
        "Folders",
    ):
        assert words in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_the_commands(shell: str) -> None:
    assert "--install-completion" in RUNNER.invoke(app, ["--help"]).output
    asked = {"bash": "complete_bash", "zsh": "complete_zsh", "fish": "complete_fish"}[shell]
    typed = {
        "COMP_WORDS": "moebius inp",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "moebius inp",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    command = [sys.executable, "-c", "import sys; from service.cli import app; app(prog_name='moebius')"]
    completed = subprocess.run(
        command,
        env=os.environ | typed | {"_MOEBIUS_COMPLETE": asked, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "inpaint" in completed.stdout, completed.stderr

"""Checkpoints survive a run that is killed while it writes one."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from training.checkpoints import averaged_unet, load_checkpoint, save_checkpoint


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    assert load_checkpoint(path) is None
    save_checkpoint(path, {"step": 7, "weights": torch.arange(3)})
    state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 7
    assert state["weights"].tolist() == [0, 1, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_write_that_is_cut_off_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 7})

    def cut_off(_state: object, file: BinaryIO) -> None:
        file.write(b"half a checkpoint")
        raise KeyboardInterrupt

    monkeypatch.setattr("training.checkpoints.torch.save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"step": 8})
    assert load_checkpoint(path) == {"step": 7}


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"step": Path("a class, not data")}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match="weights_only"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_network_is_not_taken_from_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the training job"):
        averaged_unet(tmp_path)

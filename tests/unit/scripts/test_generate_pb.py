"""The committed code of service/pb against the one that proto/ gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import generate_pb


def test_the_committed_code_is_what_the_interface_gives() -> None:
    assert generate_pb.differences() == []


def test_a_changed_a_missing_and_a_left_over_file_are_found_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_pb, "PACKAGE", tmp_path)
    generate_pb.write()
    assert generate_pb.differences() == []
    (tmp_path / "moebius/v1/inpaint_pb2.py").write_text("changed")
    (tmp_path / "moebius/v1/inpaint_pb2_grpc.pyi").unlink()
    (tmp_path / "moebius/v1/old_pb2.py").write_text("left over")
    found = ["moebius/v1/inpaint_pb2.py", "moebius/v1/inpaint_pb2_grpc.pyi", "moebius/v1/old_pb2.py"]
    assert generate_pb.differences() == found
    generate_pb.write()
    assert generate_pb.differences() == []

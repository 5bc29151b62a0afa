"""A second start reads what the first prepared; nothing that is wrong with it is more than a longer start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from service.artifacts import load_manifest, record_file
from service.engine.onnx import OnnxEngine
from service.engine.onnx_cache import GRAPH, RECORD, Record
from service.errors import ArtifactError
from service.probe import probe_noise
from service.settings import Settings

GRAPHS = 3


def start(folder: Path, cache: Path, **settings: object) -> OnnxEngine:
    told = {"device": "cpu", "threads": 1, "cache_dir": cache, "max_batch": 2} | settings
    return OnnxEngine(folder, load_manifest(folder), Settings.model_validate(told))


def answer(engine: OnnxEngine, folder: Path) -> np.ndarray:
    return probe_noise(engine, load_manifest(folder).shape, batch=2)


def kept(cache: Path, graph: str = "") -> dict[str, int]:
    """Each prepared graph, and the number of its file: another one was written anew."""
    return {
        path.parent.name: path.stat().st_ino for path in (cache / "onnxruntime").glob(f"*/{graph}*/{GRAPH}")
    }


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_second_start_takes_what_the_first_prepared(small_model: Path, cache: Path) -> None:
    first = start(small_model, cache)
    prepared = kept(cache)
    second = start(small_model, cache)
    assert len(prepared) == GRAPHS
    assert kept(cache) == prepared
    np.testing.assert_array_equal(answer(first, small_model), answer(second, small_model))


def test_half_precision_is_a_graph_of_its_own_and_only_of_the_network(small_model: Path, cache: Path) -> None:
    full, half = start(small_model, cache), start(small_model, cache, precision="fp16")
    assert (len(kept(cache, "unet-")), len(kept(cache, "vae_"))) == (2, 2)
    assert half.info.precision == "fp16"
    expected, found = answer(full, small_model), answer(half, small_model)
    difference = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-5 < difference < 5e-2  # of random weights; what it does to pictures is held in tests/parity


def flip_a_byte(entry: Path) -> None:
    content = bytearray((entry / GRAPH).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / GRAPH).write_bytes(content)


def write_another_whole_one(entry: Path) -> None:
    (entry / GRAPH).write_bytes(b"no graph")
    record = Record.model_validate_json((entry / RECORD).read_bytes())
    files = record.files | {GRAPH: record_file(entry / GRAPH)}
    (entry / RECORD).write_text(record.model_copy(update={"files": files}).model_dump_json())


@pytest.mark.parametrize("damage", [flip_a_byte, write_another_whole_one], ids=["damaged", "not taken"])
def test_what_is_wrong_is_prepared_again(
    small_model: Path, cache: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    start(small_model, cache)
    (entry,) = (cache / "onnxruntime").glob("*/unet-*")
    damage(entry)
    answer(start(small_model, cache), small_model)
    assert "again" in caplog.text
    prepared = kept(cache)
    start(small_model, cache)
    assert kept(cache) == prepared


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_folder_that_can_not_be_written_to_costs_a_warning(
    small_model: Path, tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    engine = start(small_model, tmp_path / "file", precision=precision)
    assert np.isfinite(answer(engine, small_model)).all()
    assert caplog.text.count("can't be kept") == GRAPHS


@pytest.fixture
def older_model(small_model: Path, tmp_path: Path) -> Path:
    """The small model with a graph whose first input has another name."""
    folder = tmp_path / "small"
    shutil.copytree(small_model, folder)
    model = onnx.load(folder / "unet.onnx", load_external_data=False)
    model.graph.input[0].name = "sample"
    for node in model.graph.node:
        node.input[:] = ["sample" if name == "x" else name for name in node.input]
    onnx.save(model, folder / "unet.onnx")
    return folder


def test_a_graph_of_another_interface_is_told_with_the_way_to_export_it(
    older_model: Path, cache: Path
) -> None:
    with pytest.raises(ArtifactError, match=r"its inputs are sample, clean.*moebius models export small"):
        start(older_model, cache)

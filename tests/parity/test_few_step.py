"""A few-step model on the engines: its own timesteps, alike on both backends, and independent of its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.contracts import Params
from service.engine.base import Array, Engine, Tile
from service.engine.inpaint import begin_item, run, sampling_table
from service.engine.selection import open_engine
from service.errors import InvalidParameter
from service.settings import Settings
from tests.small_model import FEW_STEP

ONE_GREY_LEVEL = 2 / 255  # pictures are in [-1, 1]
pytestmark = pytest.mark.slow


def opened(folder: Path, backend: str) -> Engine:
    return open_engine(
        Settings.model_validate(
            {
                "model_store": folder.parent,
                "model": folder.name,
                "backend": backend,
                "device": "cpu",
                "precision": "fp32",
            }
        )
    )


@pytest.fixture(scope="module")
def engines(few_step_model: Path) -> Iterator[tuple[Engine, Engine]]:
    """ONNX Runtime and PyTorch; both have compared themselves with the manifest's numbers."""
    onnx, torch = opened(few_step_model, "onnxruntime"), opened(few_step_model, "torch")
    yield onnx, torch
    onnx.close()
    torch.close()


def tile(engine: Engine, seed: int) -> tuple[Array, Array]:
    size = engine.info.image_size
    generator = np.random.default_rng(seed)
    image = np.tanh(generator.standard_normal((3, size // 8, size // 8))).repeat(8, axis=1).repeat(8, axis=2)
    mask = np.zeros((size, size), np.float32)
    mask[size // 4 : size // 2, size // 4 : size // 2] = 1
    return image.astype(np.float32), mask


def test_an_engine_says_what_its_model_was_distilled_to(engines: tuple[Engine, Engine]) -> None:
    for engine in engines:
        assert engine.info.sampling == FEW_STEP
        assert (engine.info.default_steps, engine.info.guidance_scale) == (4, FEW_STEP.guidance_scale)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_pictures_agree_on_both_backends(engines: tuple[Engine, Engine], strength: float) -> None:
    seen: list[tuple[int, int]] = []
    fills = [
        run(
            engine,
            [tile(engine, 5)],
            Params(seed=3, n=2, strength=strength),
            on_step=lambda done, total, _: seen.append((done, total)),
        ).fills
        for engine in engines
    ]
    assert np.abs(fills[0] - fills[1]).mean() < 2 * ONE_GREY_LEVEL
    total = int(4 * strength)
    assert seen == [(done + 1, total) for done in range(total)] * 2


def test_other_steps_are_refused_before_anything_is_computed(engines: tuple[Engine, Engine]) -> None:
    with pytest.raises(InvalidParameter, match="distilled to 4 steps"):
        run(engines[0], [tile(engines[0], 5)], Params(seed=3, steps=20))


def begun(engine: Engine, seed: int) -> Any:
    encoded = engine.encode([Tile(*tile(engine, seed))], with_image=False)[0]
    return begin_item(engine, encoded, sampling_table(engine.info, Params()), seed=seed, crop=0)


@pytest.mark.parametrize("joins_at", [1, 2, 3])
def test_a_request_that_joins_at_another_step_changes_nothing(
    engines: tuple[Engine, Engine], joins_at: int
) -> None:
    for engine in engines:
        rows = sampling_table(engine.info, Params()).rows
        alone = {seed: run(engine, [tile(engine, seed)], Params(seed=seed)).fills[0, 0] for seed in (11, 12)}
        early, late = begun(engine, 11), begun(engine, 12)
        for turn in range(joins_at + len(rows)):
            running = [
                (state, rows[turn - start])
                for state, start in ((early, 0), (late, joins_at))
                if 0 <= turn - start < len(rows)
            ]
            engine.step([state for state, _ in running], [row for _, row in running])
        for seed, picture in zip((11, 12), engine.decode([early, late]), strict=True):
            assert np.abs(picture - alone[seed]).max() <= ONE_GREY_LEVEL

"""A step by I/O binding is the graph's own; one on fixed addresses is the same, whoever comes between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from service.denoising import LatentBatch, StepCoefficients, StepRows, graph_inputs
from service.engine.onnx_capture import CapturedStep
from service.engine.onnx_step import INPUTS, BoundStep

CPU = ("cpu", 0)
GUIDED = StepCoefficients(500, 0.9, -0.3, 2.0, c=0.1, p=0.8, q=-0.5)
UNGUIDED = StepCoefficients(300, 0.8, -0.2, 1.0, c=0.2, p=0.7, q=-0.4)
NAMES = ("x", "clean", "condition")


@pytest.fixture(scope="module")
def session(small_model: Path) -> Any:
    return onnxruntime.InferenceSession(small_model / "unet.onnx", providers=["CPUExecutionProvider"])


def batch_of(samples: int, seed: int = 0) -> LatentBatch:
    generator = np.random.default_rng(seed)
    arrays = (generator.standard_normal((samples, width, 8, 8), dtype=np.float32) for width in (4, 4, 5))
    return LatentBatch(*arrays)


def as_the_graph_says(session: Any, batch: LatentBatch, rows: StepRows, steps: int = 1) -> LatentBatch:
    for _ in range(steps):
        x, clean = session.run(None, graph_inputs(batch, rows))
        batch = LatentBatch(x, clean, batch.condition)
    return batch


def assert_same(found: LatentBatch, expected: LatentBatch) -> None:
    for name in NAMES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5, atol=1e-5)


@pytest.fixture(params=[BoundStep, CapturedStep])
def step(request: pytest.FixtureRequest, session: Any) -> Any:
    made = request.param(session, CPU)
    if isinstance(made, CapturedStep):
        made.capture(batch_of(2, seed=9), StepRows.of([GUIDED] * 2))
    return made


def test_the_names_are_those_of_the_graph(session: Any) -> None:
    assert [value.name for value in session.get_inputs()] == list(INPUTS)


@pytest.mark.parametrize("coefficients", [[GUIDED, GUIDED], [GUIDED, UNGUIDED], [UNGUIDED], [GUIDED] * 3])
def test_several_steps_on_the_device_are_the_graphs_own(
    session: Any, step: Any, coefficients: list[StepCoefficients]
) -> None:
    batch, rows = batch_of(len(coefficients)), StepRows.of(coefficients)
    placed = step.place(batch)
    for _ in range(4):
        placed = step.advance(placed, rows)
    assert_same(step.fetch(placed), as_the_graph_says(session, batch, rows, steps=4))


def test_the_batch_before_a_step_stays_as_it_was(step: Any) -> None:
    batch = batch_of(2)
    placed = step.place(batch)
    kept = step.fetch(placed)
    step.advance(placed, StepRows.of([GUIDED] * 2))
    assert_same(step.fetch(placed), batch)
    assert_same(kept, batch)


def test_every_batch_on_the_way_can_still_be_fetched_at_the_end(session: Any, step: Any) -> None:
    batch, rows = batch_of(2), StepRows.of([GUIDED] * 2)
    way = [step.place(batch)]
    for _ in range(4):
        way.append(step.advance(way[-1], rows))
    for steps, placed in enumerate(way):
        assert_same(step.fetch(placed), as_the_graph_says(session, batch, rows, steps))


def test_a_step_is_repeated_from_where_it_began(session: Any, step: Any) -> None:
    batch, rows = batch_of(2), StepRows.of([GUIDED] * 2)
    placed = step.advance(step.place(batch), rows)
    once, again = (step.fetch(step.advance(placed, rows)) for _ in range(2))
    assert_same(once, as_the_graph_says(session, batch, rows, steps=2))
    assert_same(again, once)


def test_what_was_fetched_is_a_copy(step: Any) -> None:
    placed = step.place(batch_of(2))
    step.fetch(placed).x[:] = 0
    assert_same(step.fetch(placed), batch_of(2))


def test_batches_of_one_size_that_take_turns_do_not_disturb_each_other(session: Any, step: Any) -> None:
    rows = StepRows.of([GUIDED] * 2)
    batches = [batch_of(2, seed) for seed in range(3)]
    placed = [step.place(batch) for batch in batches]
    for _ in range(3):
        placed = [step.advance(one, rows) for one in placed]
    for batch, one in zip(batches, placed, strict=True):
        assert_same(step.fetch(one), as_the_graph_says(session, batch, rows, steps=3))


def test_who_left_a_batch_is_found_after_others_took_its_place(session: Any, step: Any) -> None:
    batch, rows = batch_of(2), StepRows.of([GUIDED] * 2)
    left = step.advance(step.place(batch), rows)
    others = step.place(batch_of(2, seed=1))
    for _ in range(2):
        others = step.advance(others, rows)
    assert_same(step.fetch(left), as_the_graph_says(session, batch, rows))


def addresses(step: CapturedStep, run: Callable[[], object]) -> list[list[int]]:
    """Of the inputs and outputs of each step's binding, in order, while `run` runs."""
    seen: list[list[int]] = []
    own = step._session

    class Watching:
        def __getattr__(self, name: str) -> Any:
            return getattr(own, name)

        def run_with_iobinding(self, binding: Any, options: Any) -> None:
            number = int(options.get_run_config_entry("gpu_graph_id"))
            values = [*binding._bound_inputs.values(), *binding._bound_outputs.values()]
            seen.append([number, *(value.data_ptr() for value in values)])
            own.run_with_iobinding(binding, options)

    step._session = Watching()
    run()
    step._session = own
    return seen


def test_a_captured_graph_always_runs_on_the_addresses_that_it_was_captured_on(session: Any) -> None:
    step, rows = CapturedStep(session, CPU), StepRows.of([GUIDED] * 2)
    captured = addresses(step, lambda: step.capture(batch_of(2, seed=9), rows))
    assert [number for number, *_ in captured] == [1, 2]

    def run() -> None:
        for seed in range(2):
            placed = step.place(batch_of(2, seed))
            for _ in range(3):
                placed = step.advance(placed, rows)

    replayed = addresses(step, run)
    first, second = captured
    assert replayed == [first, second, first, first, second, first]


def test_shapes_that_were_not_captured_run_without_a_graph(session: Any) -> None:
    step = CapturedStep(session, CPU)
    step.capture(batch_of(2), StepRows.of([GUIDED] * 2))

    def run() -> None:
        step.advance(step.place(batch_of(2)), StepRows.of([GUIDED, UNGUIDED]))
        step.advance(step.place(batch_of(3)), StepRows.of([GUIDED] * 3))

    assert [number for number, *_ in addresses(step, run)] == [-1, -1]

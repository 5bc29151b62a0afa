"""Recorded steps on a CPU: recording keeps the step, replaying computes it again into the tensors of the recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from service.denoising import LatentBatch, StepCoefficients, StepRows
from service.engine.torch_graphs import Outputs, StepGraphs
from service.model.primitives import TorchPrimitives
from tests.small_model import UNET, small_autoencoder, small_unet

SIDE = UNET.sample_size


class Recorder:
    """Stands in for CUDA graphs; `replays` counts, `room` is for how many recordings there is memory."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.replays = 0

    def __call__(self, run: Callable[[], Outputs]) -> tuple[Callable[[], object], Outputs]:
        if self.room == 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.room -= 1
        outputs = run()

        def replay() -> None:
            self.replays += 1
            for buffer, result in zip(outputs, run(), strict=True):
                buffer.copy_(result)

        return replay, outputs


@pytest.fixture(scope="module")
def networks() -> TorchPrimitives:
    return TorchPrimitives(small_unet(), small_autoencoder())


def inputs_of(networks: TorchPrimitives, *guidances: float, seed: int = 0) -> dict[str, Tensor]:
    generator = np.random.default_rng(seed)
    x, clean, condition = (
        generator.standard_normal((len(guidances), channels, SIDE, SIDE), dtype=np.float32)
        for channels in (4, 4, 5)
    )
    rows = StepRows.of(
        [StepCoefficients(700 - i, 0.9, -0.4, g, 0.1, 1.1, -0.2) for i, g in enumerate(guidances)]
    )
    return networks.step_inputs(networks.place(LatentBatch(x, clean, condition)), rows)


def assert_same(found: Outputs, expected: Outputs) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("guidances", [(2.0, 3.0), (1.0, 1.0)])
def test_a_recorded_size_is_replayed_on_other_inputs(
    networks: TorchPrimitives, guidances: tuple[float, ...]
) -> None:
    recorder = Recorder()
    graphs = StepGraphs(networks.step, recorder)
    graphs.record(inputs_of(networks, *guidances))
    others = inputs_of(networks, *guidances, seed=1)
    assert_same(graphs(**others), networks.step(**others))
    assert recorder.replays == 1


def test_a_batch_of_which_some_are_guided_takes_the_recording_of_all_guided(
    networks: TorchPrimitives,
) -> None:
    recorder = Recorder()
    graphs = StepGraphs(networks.step, recorder)
    for guidance in (2.0, 1.0):
        graphs.record(inputs_of(networks, guidance, guidance, guidance))
    mixed = inputs_of(networks, 1.0, 2.5, 1.0, seed=2)
    assert_same(graphs(**mixed), networks.step(**mixed))
    assert recorder.replays == 1


def test_a_size_without_a_recording_is_computed(networks: TorchPrimitives) -> None:
    recorder = Recorder()
    graphs = StepGraphs(networks.step, recorder)
    graphs.record(inputs_of(networks, 1.0, 1.0))
    for guidances in ((2.0, 2.0), (1.0,)):  # more rows than recorded, fewer samples
        other = inputs_of(networks, *guidances)
        assert_same(graphs(**other), networks.step(**other))
    assert recorder.replays == 0


def test_a_result_is_not_written_to_by_the_next_step(networks: TorchPrimitives) -> None:
    graphs = StepGraphs(networks.step, Recorder())
    first = inputs_of(networks, 2.0)
    graphs.record(first)
    x, clean = graphs(**first)
    kept = x.clone(), clean.clone()
    graphs(**inputs_of(networks, 2.0, seed=3))
    assert torch.equal(x, kept[0])
    assert torch.equal(clean, kept[1])


def test_inputs_are_not_written_to(networks: TorchPrimitives) -> None:
    graphs = StepGraphs(networks.step, Recorder())
    graphs.record(inputs_of(networks, 2.0))
    given = inputs_of(networks, 2.0, seed=4)
    kept = {name: tensor.clone() for name, tensor in given.items()}
    graphs(**given)
    graphs(**inputs_of(networks, 2.0, seed=5))
    assert all(torch.equal(tensor, kept[name]) for name, tensor in given.items())


def examples(networks: TorchPrimitives, *sizes: int) -> Iterator[Mapping[str, Tensor]]:
    for size in sizes:
        yield inputs_of(networks, *[2.0] * size)


def test_where_memory_ends_the_other_sizes_are_computed(
    networks: TorchPrimitives, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(room=1)
    graphs = StepGraphs(networks.step, recorder)
    graphs.record_all(examples(networks, 3, 2, 1))
    for size, replays in ((3, 1), (2, 1)):
        inputs = inputs_of(networks, *[2.0] * size)
        assert_same(graphs(**inputs), networks.step(**inputs))
        assert recorder.replays == replays
    assert "no memory for the graph of a step" in caplog.text


def test_what_else_goes_wrong_in_recording_is_told(networks: TorchPrimitives) -> None:
    def record(run: Callable[[], Outputs]) -> tuple[Callable[[], object], Outputs]:
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        StepGraphs(networks.step, record).record_all(examples(networks, 1))

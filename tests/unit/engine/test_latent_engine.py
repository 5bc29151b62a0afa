"""What the backends share: masking on the latent grid, batching, and guidance in one batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.artifacts import LatentColors
from service.denoising import Integers, LatentBatch
from service.engine.base import Array, DeviceOutOfMemory, EngineInfo, EngineLimits, StepCoefficients, Tile
from service.engine.latent_engine import EncodedTile, mask_to_cells
from tests.predicting_engine import PredictingEngine

SIZE, SIDE = 32, 4


class RecordingEngine(PredictingEngine):
    """Remembers every call; predicts 1 in the branch that we want and 3 in the one that we don't."""

    def __init__(self, largest_batch: int = 4, device: str = "cuda") -> None:
        info = EngineInfo("recording", "recording", device, "fp32", SIZE, "epsilon")
        super().__init__(info, EngineLimits(tuple(range(1, largest_batch + 1))))
        self.images: list[Array] = []
        self.batches: list[tuple[Array, Integers, Integers]] = []

    def vae_encode(self, images: Array) -> Array:
        self.images.append(images)
        return np.ones((len(images), 4, SIDE, SIDE), np.float32)

    def predict(self, sample: Array, timesteps: Integers, branch: Integers) -> Array:
        self.batches.append((sample, timesteps, branch))
        value = np.where(branch == 0, 1, 3).astype(np.float32)
        return value[:, None, None, None] * np.ones((1, 4, SIDE, SIDE), np.float32)

    def vae_decode(self, latents: Array) -> Array:
        return np.full((len(latents), 3, SIZE, SIZE), 5, np.float32)


class FailingEngine(RecordingEngine):
    """Raises from the primitive that is named once it has `calls` calls behind it, or for a batch above `memory`."""

    def __init__(
        self, error: Exception, primitive: str, *, calls: int = 0, memory: int | None = None
    ) -> None:
        super().__init__(largest_batch=4)
        self._error = error
        self._primitive = primitive
        self._calls_left = calls
        self._memory = memory

    def vae_encode(self, images: Array) -> Array:
        self._fail("vae_encode", len(images))
        return super().vae_encode(images)

    def predict(self, sample: Array, timesteps: Integers, branch: Integers) -> Array:
        self._fail("predict", len(sample))
        return super().predict(sample, timesteps, branch)

    def vae_decode(self, latents: Array) -> Array:
        self._fail("vae_decode", len(latents))
        return super().vae_decode(latents)

    def _fail(self, primitive: str, batch: int) -> None:
        if primitive != self._primitive or (self._memory is not None and batch <= self._memory):
            return
        if self._calls_left == 0:
            raise self._error
        self._calls_left -= 1


def make_tile() -> Tile:
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[9, 17] = 1
    return Tile(np.full((3, SIZE, SIZE), 0.5, np.float32), mask)


def encode_one(engine: RecordingEngine) -> EncodedTile:
    return engine.encode([make_tile()], with_image=False)[0]


def noise() -> Array:
    return np.zeros((4, SIDE, SIDE), np.float32)


def test_one_pixel_of_mask_makes_its_whole_cell_a_hole() -> None:
    cells = mask_to_cells(make_tile().mask, 8)
    assert cells.shape == (1, SIDE, SIDE)
    assert np.argwhere(cells).tolist() == [[0, 1, 2]]


def test_the_network_sees_mid_grey_in_every_cell_of_the_hole() -> None:
    engine = RecordingEngine()
    encode_one(engine)
    image = engine.images[0][0]
    assert (image[:, 8:16, 16:24] == 0).all()
    assert (image == 0).sum() == 3 * 64


def test_the_whole_picture_is_encoded_only_when_asked_for() -> None:
    engine = RecordingEngine()
    assert engine.encode([make_tile()], with_image=False)[0].latents is None
    assert engine.encode([make_tile()], with_image=True)[0].latents is not None
    assert [len(images) for images in engine.images] == [1, 2]


def test_a_start_from_the_picture_needs_its_latents() -> None:
    engine = RecordingEngine()
    with pytest.raises(ValueError, match="with_image"):
        engine.begin(encode_one(engine), noise(), 0.5, 0.5)


def test_noise_of_another_shape_is_refused() -> None:
    engine = RecordingEngine()
    with pytest.raises(ValueError, match="noise must be"):
        engine.begin(encode_one(engine), noise()[:3], 0.0, 1.0)


def test_both_branches_of_guidance_run_as_one_batch() -> None:
    engine = RecordingEngine()
    states = [engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(2)]
    engine.step(states, [StepCoefficients(10, 1.0, 1.0, 2.0), StepCoefficients(20, 1.0, 1.0, 2.0)])
    ((sample, timesteps, branch),) = engine.batches
    assert sample.shape == (4, 9, SIDE, SIDE)
    assert timesteps.tolist() == [10, 20, 10, 20]
    assert branch.tolist() == [0, 0, 1, 1]
    assert states[0].x[0, 0, 0] == 3 + 2 * (1 - 3)


def test_guidance_of_one_costs_one_branch_only() -> None:
    engine = RecordingEngine()
    states = [engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(2)]
    engine.step(states, [StepCoefficients(10, 1.0, 1.0, 1.0), StepCoefficients(20, 1.0, 1.0, 3.0)])
    ((_, timesteps, _),) = engine.batches
    assert timesteps.tolist() == [10, 20, 20]
    assert [state.x[0, 0, 0] for state in states] == [1, 3 + 3 * (1 - 3)]


def test_a_batch_above_the_limit_is_split() -> None:
    engine = RecordingEngine(largest_batch=3)
    states = [engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(7)]
    engine.step(states, [StepCoefficients(10, 1.0, 1.0, 1.0)] * 7)
    assert [len(sample) for sample, _, _ in engine.batches] == [3, 3, 1]


@pytest.mark.parametrize("error", [RuntimeError("a node failed"), RuntimeError("CUDA out of memory")])
def test_no_state_has_moved_when_a_later_part_of_the_step_fails(error: Exception) -> None:
    engine = FailingEngine(error, "predict", calls=1)
    states = [engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(7)]
    before = [state.x.copy() for state in states]
    with pytest.raises((RuntimeError, DeviceOutOfMemory)):
        engine.step(states, [StepCoefficients(10, 1.0, 1.0, 1.0)] * 7)
    assert len(engine.batches) == 1
    assert all(np.array_equal(state.x, x) for state, x in zip(states, before, strict=True))


def test_a_device_without_memory_says_so_by_one_error_in_every_call() -> None:
    error = MemoryError("no room")
    healthy = RecordingEngine()
    states = [healthy.begin(encode_one(healthy), noise(), 0.0, 1.0)]
    with pytest.raises(DeviceOutOfMemory, match="no room"):
        encode_one(FailingEngine(error, "vae_encode"))
    with pytest.raises(DeviceOutOfMemory, match="no room"):
        FailingEngine(error, "predict").step(states, [StepCoefficients(10, 1.0, 1.0, 1.0)])
    with pytest.raises(DeviceOutOfMemory, match="no room"):
        FailingEngine(error, "vae_decode").decode(states)


def test_another_failure_of_a_primitive_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="a node failed"):
        encode_one(FailingEngine(RuntimeError("a node failed"), "vae_encode"))


def test_warming_up_drops_the_sizes_that_there_is_no_memory_for() -> None:
    engine = FailingEngine(MemoryError(), "predict", memory=4)  # two guided items
    engine.warmup()
    assert engine.limits.batch_sizes == (1, 2)


def test_warming_up_fails_where_there_is_no_memory_for_one_item() -> None:
    with pytest.raises(DeviceOutOfMemory):
        FailingEngine(MemoryError(), "predict").warmup()


def test_pictures_stay_in_their_range() -> None:
    engine = RecordingEngine()
    pictures = engine.decode([engine.begin(encode_one(engine), noise(), 0.0, 1.0)])
    assert pictures.shape == (1, 3, SIZE, SIZE)
    assert pictures.max() == 1


def test_warming_up_runs_the_largest_batch_first() -> None:
    engine = RecordingEngine(largest_batch=3)
    engine.warmup()
    assert [len(sample) for sample, _, _ in engine.batches] == [6, 4, 2]


def test_warming_up_a_cpu_takes_one_step() -> None:
    engine = RecordingEngine(device="cpu")
    engine.warmup()
    assert [len(sample) for sample, _, _ in engine.batches] == [2]


class PlacingEngine(RecordingEngine):
    """Counts what goes to the device and what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.placed: list[int] = []
        self.fetched = 0

    def place(self, batch: LatentBatch) -> LatentBatch:
        self.placed.append(len(batch.x))
        return batch

    def fetch(self, on_device: LatentBatch) -> LatentBatch:
        self.fetched += 1
        return on_device


ROW = StepCoefficients(10, 1.0, 1.0, 1.0)


def test_a_batch_stays_on_the_device_as_long_as_the_same_states_are_in_it() -> None:
    engine = PlacingEngine()
    states = [engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(3)]
    for _ in range(4):
        engine.step(states, [ROW] * 3)
    assert (engine.placed, engine.fetched) == ([3], 0)
    assert [state.x[0, 0, 0] for state in states] == [4, 4, 4]


def test_a_state_that_joins_or_leaves_or_moves_makes_a_new_batch_of_the_same_latents() -> None:
    engine = PlacingEngine()
    first, second, late = (engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(3))
    for batch in ([first, second], [first, second, late], [first, second], [second, first, late], [first]):
        engine.step(batch, [ROW] * len(batch))
    assert engine.placed == [2, 3, 2, 3, 1]
    assert [state.x[0, 0, 0] for state in (first, second, late)] == [5, 4, 2]


def test_the_second_order_term_adds_the_clean_latents_of_the_step_before() -> None:
    engine = RecordingEngine()
    states = [engine.begin(encode_one(engine), noise() + 1, 0.0, 1.0)]
    engine.step(states, [StepCoefficients(10, 1.0, 1.0, 1.0, c=100.0, p=2.0, q=3.0)])
    assert (states[0].x[0, 0, 0], states[0].clean[0, 0, 0]) == (1 + 1, 2 * 1 + 3 * 1)
    engine.step(states, [StepCoefficients(5, 1.0, 1.0, 1.0, c=100.0)])
    assert states[0].x[0, 0, 0] == 2 + 1 + 100 * 5


COLORS = LatentColors(matrix=((2, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1)), bias=(0.5, 0, -1))


def test_a_preview_is_of_the_step_after_which_it_was_asked_for() -> None:
    engine = PlacingEngine()
    engine.info = replace(engine.info, latent_colors=COLORS)
    states = [engine.begin(encode_one(engine), noise(), 0.0, 1.0) for _ in range(2)]
    engine.step(states, [StepCoefficients(10, 1.0, 1.0, 1.0, p=0.0, q=3.0)] * 2)
    preview = engine.preview(states[1])
    assert preview is not None
    assert engine.fetched == 0, "a preview that nobody looks at is not fetched"
    engine.step(states, [StepCoefficients(10, 1.0, 1.0, 1.0, p=0.0, q=9.0)] * 2)
    assert engine.placed == [2], "looking does not move the batch"
    colors = preview()
    assert colors.shape == (3, SIDE, SIDE)
    assert colors[:, 0, 0].tolist() == [2 * 3 + 0.5, 3, 3 - 1]


def test_a_model_without_a_map_to_colours_has_no_previews() -> None:
    engine = RecordingEngine()
    state = engine.begin(encode_one(engine), noise(), 0.0, 1.0)
    engine.step([state], [StepCoefficients(10, 1.0, 1.0, 1.0)])
    assert engine.preview(state) is None

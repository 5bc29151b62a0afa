"""The in-process loop: candidates, callbacks and stopping, on the dummy engine."""

from __future__ import annotations

import numpy as np
import pytest

from service.artifacts import FewStepSampling
from service.contracts import MAX_SEED, Params
from service.denoising import LatentBatch, StepRows
from service.engine.base import Array, EngineInfo
from service.engine.dummy import DummyEngine
from service.engine.inpaint import candidate_seeds, run, sampling_table
from service.engine.sampler import alphas_cumprod
from service.errors import InvalidParameter
from service.settings import Settings

SIZE = 64
COLOUR = (0.5, -0.25, 0.0)


@pytest.fixture
def engine() -> DummyEngine:
    return DummyEngine(Settings(), image_size=SIZE)


def make_tile() -> tuple[Array, Array]:
    image = np.broadcast_to(np.array(COLOUR, np.float32)[:, None, None], (3, SIZE, SIZE)).copy()
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[16:32, 24:48] = 1
    return image, mask


def test_a_fill_comes_for_every_candidate_and_crop(engine: DummyEngine) -> None:
    inpainting = run(engine, [make_tile(), make_tile()], Params(seed=1, n=3, steps=2))
    assert inpainting.fills.shape == (3, 2, 3, SIZE, SIZE)
    assert set(inpainting.stages) == {"vae_encode", "denoise", "vae_decode"}


def test_the_hole_takes_the_colour_around_it(engine: DummyEngine) -> None:
    image, mask = make_tile()
    fill = run(engine, [(image, mask)], Params(seed=1)).fills[0, 0]
    assert fill[:, mask == 1].mean(axis=1) == pytest.approx(COLOUR, abs=0.1)


def test_two_crops_of_one_candidate_get_their_own_noise(engine: DummyEngine) -> None:
    fills = run(engine, [make_tile(), make_tile()], Params(seed=1, steps=2)).fills[0]
    assert not np.array_equal(fills[0], fills[1])


def test_the_seeds_of_candidates_follow_each_other_up_to_the_largest() -> None:
    assert candidate_seeds(Params(seed=MAX_SEED - 2, n=3)) == (MAX_SEED - 2, MAX_SEED - 1, MAX_SEED)


def test_a_seed_that_nobody_drew_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="seed must be drawn"):
        candidate_seeds(Params())


def test_every_step_is_reported(engine: DummyEngine) -> None:
    seen: list[tuple[int, int]] = []
    run(
        engine,
        [make_tile()],
        Params(seed=1, steps=3),
        on_step=lambda done, total, _: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_strength_below_one_keeps_a_trace_of_the_picture(engine: DummyEngine) -> None:
    image, mask = make_tile()
    image[:, 16:32, 24:48] = -1
    weak = run(engine, [(image, mask)], Params(seed=1, strength=0.3)).fills
    full = run(engine, [(image, mask)], Params(seed=1, strength=1)).fills
    assert not np.array_equal(weak, full)


FEW_STEP = FewStepSampling(timesteps=(999, 749, 499, 249), guidance_scale=2.5)
FEW_STEP_INFO = EngineInfo("few", "dummy", "cpu", "fp32", SIZE, "v_prediction", FEW_STEP)


@pytest.mark.parametrize("params", [Params(), Params(steps=4), Params(steps=4, guidance_scale=2.5)])
def test_a_few_step_model_runs_its_own_timesteps_without_a_negative_branch(params: Params) -> None:
    table = sampling_table(FEW_STEP_INFO, params)
    assert (table.image_scale, table.noise_scale) == (0.0, 1.0)
    assert [(row.timestep, row.guidance) for row in table.rows] == [(t, 1.0) for t in FEW_STEP.timesteps]


@pytest.mark.parametrize(("strength", "first", "steps"), [(0.99, 749, 3), (0.5, 499, 2), (0.3, 249, 1)])
def test_a_weaker_few_step_run_starts_from_the_picture_at_its_first_timestep(
    strength: float, first: int, steps: int
) -> None:
    table = sampling_table(FEW_STEP_INFO, Params(strength=strength))
    alpha = float(alphas_cumprod()[first])
    assert (table.rows[0].timestep, len(table.rows)) == (first, steps)
    assert table.image_scale == pytest.approx(alpha**0.5)
    assert table.noise_scale == pytest.approx((1 - alpha) ** 0.5)


@pytest.mark.parametrize("params", [Params(steps=20), Params(guidance_scale=2.0), Params(guidance_scale=1)])
def test_other_numbers_than_a_few_step_models_are_refused(params: Params) -> None:
    with pytest.raises(InvalidParameter, match=r"few .*leave .* out or say"):
        sampling_table(FEW_STEP_INFO, params)


def test_an_ordinary_request_that_names_no_numbers_takes_twenty_guided_steps(engine: DummyEngine) -> None:
    rows = sampling_table(engine.info, Params()).rows
    assert len(rows) == 20
    assert {row.guidance for row in rows} == {2.0}


def test_a_few_step_run_takes_one_evaluation_a_step() -> None:
    few = CountingEngine(Settings(), image_size=SIZE, sampling=FEW_STEP)
    run(few, [make_tile()], Params(seed=1))
    assert few.evaluated == [1, 1, 1, 1]


class CountingEngine(DummyEngine):
    """Notes how many samples each call of the network has."""

    def advance(self, on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        self.evaluated = [*getattr(self, "evaluated", []), len(rows.source)]
        return super().advance(on_device, rows)

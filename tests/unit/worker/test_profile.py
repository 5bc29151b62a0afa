"""The profile of a device: what is measured, on a clock that the engine moves, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from service.artifacts import FewStepSampling
from service.contracts import Params
from service.denoising import Array, Integers, StepCoefficients
from service.engine.base import DeviceOutOfMemory, EngineInfo, EngineLimits
from service.engine.latent_engine import LatentState
from service.queue.fairness import cost_of
from service.worker.profile import BatchProfile, measure
from tests.predicting_engine import PredictingEngine

SIZE, SIDE = 32, 4
ENCODE, DECODE = 0.5, 0.75
FEW_STEP = FewStepSampling(timesteps=(999, 749, 499, 249), guidance_scale=2.0)


class TimedEngine(PredictingEngine):
    """A device whose step takes `step_seconds(batch)` on its own clock; above `memory` items it has no room.

    The first call at a size takes a second more, as it does where memory is planned or kernels are chosen.
    """

    def __init__(
        self,
        step_seconds: Callable[[int], float],
        sizes: tuple[int, ...],
        memory: int | None = None,
        sampling: FewStepSampling | None = None,
    ) -> None:
        info = EngineInfo("timed", "timed", "cuda", "fp32", SIZE, "epsilon", sampling)
        super().__init__(info, EngineLimits(sizes))
        self.now = 0.0
        self.batches: list[int] = []
        self.refused: list[int] = []
        self.guidances: set[float] = set()
        self._step_seconds = step_seconds
        self._memory = memory

    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        if self._memory is not None and len(states) > self._memory:
            self.refused.append(len(states))
            raise DeviceOutOfMemory
        self.now += self._step_seconds(len(states)) + (len(states) not in self.batches)
        self.batches.append(len(states))
        self.guidances |= {row.guidance for row in coefficients}
        super().step(states, coefficients)

    def vae_encode(self, images: Array) -> Array:
        self.now += ENCODE * len(images)
        return np.zeros((len(images), 4, SIDE, SIDE), np.float32)

    def predict(self, sample: Array, timesteps: Integers, branch: Integers) -> Array:
        return np.zeros((len(sample), 4, SIDE, SIDE), np.float32)

    def vae_decode(self, latents: Array) -> Array:
        self.now += DECODE * len(latents)
        return np.zeros((len(latents), 3, SIZE, SIZE), np.float32)

    def measure(self) -> BatchProfile:
        return measure(self, clock=lambda: self.now)


def flat(batch: int) -> float:
    return 0.25


def linear(batch: int) -> float:
    return 0.1 * batch


POWERS = (1, 2, 4, 8)


class TestMeasuring:
    def test_each_size_is_timed_without_its_first_call(self) -> None:
        profile = TimedEngine(flat, POWERS).measure()
        assert profile.step_seconds == {1: 0.25, 2: 0.25, 4: 0.25, 8: 0.25}

    def test_the_autoencoder_is_timed_on_one_crop(self) -> None:
        profile = TimedEngine(flat, POWERS).measure()
        assert (profile.encode_seconds, profile.decode_seconds) == (ENCODE, DECODE)

    def test_steps_are_measured_with_guidance(self) -> None:
        engine = TimedEngine(flat, POWERS)
        engine.measure()
        assert engine.guidances == {2.0}

    def test_a_few_step_models_steps_are_measured_as_they_are_without_a_second_branch(self) -> None:
        engine = TimedEngine(flat, POWERS, sampling=FEW_STEP)
        profile = engine.measure()
        assert engine.guidances == {1.0}
        assert (profile.steps, profile.distilled) == (4, True)

    def test_it_ends_when_a_doubling_brings_no_more_throughput(self) -> None:
        assert set(TimedEngine(linear, POWERS).measure().step_seconds) == {1, 2}

    def test_a_long_step_must_bring_more_to_be_tried(self) -> None:
        """The last doubling brought 14 %: enough to go on with steps of 0.02 s, not with steps of 2 s."""
        assert set(TimedEngine(lambda batch: 0.004 + 0.012 * batch, POWERS).measure().step_seconds) == {
            1,
            2,
            4,
            8,
        }
        assert set(TimedEngine(lambda batch: 0.4 + 1.2 * batch, POWERS).measure().step_seconds) == {1, 2}

    def test_a_long_step_whose_batch_is_free_is_tried(self) -> None:
        assert set(TimedEngine(lambda batch: 2.0, POWERS).measure().step_seconds) == {1, 2, 4, 8}

    def test_of_sizes_that_lie_close_the_doublings_and_the_largest_are_measured(self) -> None:
        profile = TimedEngine(flat, tuple(range(1, 13))).measure()
        assert set(profile.step_seconds) == {1, 2, 4, 8, 12}

    def test_a_size_without_memory_is_left_out_and_ends_it(self) -> None:
        engine = TimedEngine(flat, POWERS, memory=3)
        profile = engine.measure()
        assert set(profile.step_seconds) == {1, 2}
        assert profile.cap == 2
        assert profile.sizes == (1, 2)
        assert engine.refused == [4]

    def test_sizes_that_were_not_worth_a_try_are_still_there_for_later(self) -> None:
        assert TimedEngine(linear, POWERS).measure().sizes == POWERS

    def test_a_device_without_memory_for_one_item_is_of_no_use(self) -> None:
        with pytest.raises(DeviceOutOfMemory):
            TimedEngine(flat, POWERS, memory=0).measure()


class TestTheCap:
    def test_a_flat_device_runs_its_largest_batch(self) -> None:
        assert TimedEngine(flat, POWERS).measure().cap == 8

    def test_a_linear_device_runs_one_item_so_that_earlier_jobs_end_earlier(self) -> None:
        assert TimedEngine(linear, POWERS).measure().cap == 1

    def test_steps_shorter_than_the_loops_own_work_are_batched_whatever_was_measured(self) -> None:
        assert BatchProfile({1: 0.0001, 2: 0.0002, 4: 0.0002, 8: 0.0009}, 0.1, 0.1).cap == 8

    def test_one_that_was_chosen_is_taken(self) -> None:
        assert BatchProfile({1: 1.0, 2: 1.0}, 0.1, 0.1, chosen=1).cap == 1

    def test_the_smallest_size_near_the_best_throughput_is_enough(self) -> None:
        profile = BatchProfile({1: 1.0, 2: 1.2, 4: 2.2, 8: 4.2}, 0.1, 0.1)  # per second: 1, 1.67, 1.82, 1.90
        assert profile.cap == 4


class TestAnExpectedStep:
    profile = BatchProfile({1: 1.0, 2: 1.5, 4: 2.0, 8: 4.0}, 0.1, 0.1)

    @pytest.mark.parametrize(
        ("batch", "seconds"), [(1, 1.0), (2, 1.5), (3, 1.75), (4, 2.0), (6, 3.0), (8, 4.0)]
    )
    def test_is_as_measured_and_on_a_straight_line_between(self, batch: int, seconds: float) -> None:
        assert self.profile.expected_step(batch) == pytest.approx(seconds)

    def test_goes_on_on_the_last_line_beyond_the_largest_size(self) -> None:
        assert self.profile.expected_step(12) == pytest.approx(6.0)

    def test_never_shrinks_with_the_batch_beyond_what_was_measured(self) -> None:
        assert BatchProfile({1: 1.0, 2: 0.9}, 0.1, 0.1).expected_step(40) == pytest.approx(0.9)

    def test_grows_in_proportion_where_one_size_was_measured(self) -> None:
        assert BatchProfile({1: 0.5}, 0.1, 0.1).expected_step(4) == pytest.approx(2.0)


class TestThroughput:
    def test_with_the_vaes_cost_in_a_jobs_cost_it_says_what_the_job_takes_of_the_device(self) -> None:
        profile = BatchProfile({1: 0.25, 8: 0.4}, encode_seconds=0.5, decode_seconds=0.75)
        for steps in (4, 20):
            cost = cost_of(Params(steps=steps, guidance_scale=2.0), places=1, vae_cost=profile.vae_cost)
            assert cost / profile.throughput == pytest.approx(steps * 0.4 / 8 + 0.5 + 0.75)

    def test_counts_one_evaluation_a_step_where_guidance_is_distilled(self) -> None:
        profile = BatchProfile({1: 0.25, 8: 0.4}, 0.5, 0.75, steps=4, distilled=True)
        params = Params(steps=4, guidance_scale=2.0)
        cost = cost_of(params, places=1, distilled=True, vae_cost=profile.vae_cost)
        assert cost / profile.throughput == pytest.approx(4 * 0.4 / 8 + 0.5 + 0.75)
        assert profile.throughput == pytest.approx(8 / 0.4)

    def test_encoding_and_decoding_cost_what_they_take_in_evaluations(self) -> None:
        assert BatchProfile({1: 0.2}, 0.4, 0.74).vae_cost == pytest.approx(11.4)

    def test_doubles_with_a_device_of_twice_the_speed(self) -> None:
        slow = BatchProfile({1: 1.0}, 0.5, 0.5)
        fast = BatchProfile({1: 0.5}, 0.25, 0.25)
        assert fast.throughput == pytest.approx(2 * slow.throughput)
        assert fast.vae_cost == pytest.approx(slow.vae_cost)


class TestPreparing:
    @pytest.mark.parametrize(("seconds", "steps"), [(0.0, 0), (0.01, 1), (0.5, 1), (0.6, 2), (5.0, 10)])
    def test_takes_as_many_steps_as_begin_within_it(self, seconds: float, steps: int) -> None:
        assert BatchProfile({1: 0.5}, 0.1, 0.1).prepare_steps(seconds) == steps

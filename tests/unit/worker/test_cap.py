"""The cap that follows the steps that really run: where it goes, and that it comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.worker.cap import FIRST_WAIT, LONGEST_PAUSE, PAUSE, TRIAL, Cap, moved
from service.worker.profile import items_a_second
from service.worker.step_times import FEWEST, StepTimes

SIZES = (1, 2, 4, 8, 16)
READY = Cap(2, wait=1)  # the next full step may open a trial
Curve = Callable[[int], float]


def flat(_: int) -> float:
    return 0.05


def linear(batch: int) -> float:
    return 0.05 * batch


class TestATrial:
    def test_of_the_next_larger_size_begins_while_steps_are_full(self) -> None:
        tried = moved(READY, 2, {2: 0.05}, SIZES)
        assert (tried.settled, tried.trial, tried.places) == (2, 4, 4)

    def test_does_not_begin_while_a_place_is_free(self) -> None:
        assert moved(READY, 1, {1: 0.05, 2: 0.05}, SIZES).trial is None

    def test_does_not_begin_before_the_settled_size_is_known(self) -> None:
        assert moved(READY, 2, {}, SIZES).trial is None

    def test_does_not_begin_before_its_wait_is_over(self) -> None:
        assert moved(Cap(2), 2, {2: 0.05}, SIZES).trial is None

    def test_does_not_begin_above_the_largest_size(self) -> None:
        assert moved(Cap(16, wait=1), 16, {16: 0.05}, SIZES).trial is None

    def test_settles_where_it_brings_more(self) -> None:
        assert moved(Cap(2, 4, TRIAL), 4, {2: 0.05, 4: 0.06}, SIZES) == Cap(4, None, FIRST_WAIT)

    def test_of_a_long_step_must_bring_more_than_that_of_a_short_one(self) -> None:
        assert moved(Cap(2, 4, TRIAL), 4, {2: 0.5, 4: 0.85}, SIZES).settled == 2  # 1.18 times as much
        assert moved(Cap(2, 4, TRIAL), 4, {2: 0.05, 4: 0.085}, SIZES).settled == 4

    def test_that_fails_is_made_again_only_after_twice_the_pause(self) -> None:
        failed = moved(Cap(2, 4, TRIAL), 4, {2: 0.05, 4: 0.1}, SIZES)
        assert failed == Cap(2, None, PAUSE, 2 * PAUSE)
        longest = moved(Cap(2, 4, TRIAL, LONGEST_PAUSE), 4, {2: 0.05, 4: 0.1}, SIZES)
        assert longest.pause == LONGEST_PAUSE

    def test_goes_on_until_enough_steps_were_full_and_ends_where_too_few_are(self) -> None:
        cap = Cap(2, 4, TRIAL)
        for _ in range(TRIAL - 1):
            cap = moved(cap, 3, {2: 0.05}, SIZES)
            assert cap.trial == 4
        assert moved(cap, 3, {2: 0.05}, SIZES) == Cap(2, None, PAUSE, PAUSE)


class TestASmallerSize:
    def test_that_does_as_much_takes_over(self) -> None:
        assert moved(Cap(4), 2, {2: 0.05, 4: 0.1}, SIZES) == Cap(2, None, PAUSE, 2 * PAUSE)

    def test_that_does_less_does_not(self) -> None:
        assert moved(Cap(4), 2, {2: 0.05, 4: 0.09}, SIZES).settled == 4

    def test_that_is_not_known_does_not(self) -> None:
        assert moved(Cap(4), 4, {4: 0.4}, SIZES).settled == 4


def run(
    curve: Curve, start: int, steps: int, noise: Callable[[], float], demand: Callable[[], int]
) -> list[Cap]:
    """The caps after each of so many steps of a device whose steps take `curve` x `noise` seconds."""
    times, cap, caps = StepTimes(), Cap(start), []
    for _ in range(steps):
        batch = min(cap.places, demand())
        times.observe(batch, curve(batch) * noise())
        near = [size for size in (cap.settled, cap.trial, *cap.neighbours(SIZES)) if size is not None]
        cap = moved(cap, batch, times.recent(*near), SIZES)
        caps.append(cap)
    return caps


def moves(caps: list[Cap]) -> int:
    return sum(before.settled != after.settled for before, after in pairwise(caps))


def falls(caps: list[Cap]) -> int:
    return sum(before.settled > after.settled for before, after in pairwise(caps))


def quiet() -> float:
    return 1.0


def many() -> int:
    return SIZES[-1]


def test_a_cap_that_a_busy_start_left_small_grows_to_the_largest_on_a_flat_device() -> None:
    assert run(flat, 1, 4 * (FIRST_WAIT + FEWEST), quiet, many)[-1].settled == SIZES[-1]


def test_a_cap_that_is_right_stays_on_a_linear_device() -> None:
    assert {cap.settled for cap in run(linear, 1, 2000, quiet, many)} == {1}


@pytest.mark.parametrize("curve", [flat, linear])
def test_without_demand_nothing_is_tried(curve: Curve) -> None:
    assert all(cap == Cap(4, None, cap.wait) for cap in run(curve, 4, 500, quiet, lambda: 3))


@settings(max_examples=10, deadline=None)
@given(
    fixed=st.floats(0, 0.1),
    each=st.floats(0.001, 0.05),
    start=st.sampled_from(SIZES),
    seed=st.integers(0, 2**32),
)
@example(fixed=0.03125, each=0.03125, start=1, seed=109)  # 8 do 1.12 times as much as 4
@example(fixed=0.0234375, each=0.03125, start=1, seed=1)  # two trials of 4 fail by noise, the third is right
def test_on_a_steady_device_it_comes_to_rest_where_a_larger_batch_brings_little(
    fixed: float, each: float, start: int, seed: int
) -> None:
    """Each step up to 10 % off, and now and then one that takes five times as long."""
    random = Random(seed)

    def curve(batch: int) -> float:
        return fixed + each * batch

    def noise() -> float:
        return random.uniform(0.9, 1.1) * (5 if random.random() < 0.03 else 1)

    caps = run(curve, start, 2000, noise, many)
    settled = caps[-1].settled
    assert moves(caps) <= len(SIZES) + 2
    assert falls(caps[1000:]) <= 2  # the pause after a fall, 500 steps at first, doubles
    if settled < SIZES[-1]:
        gain = items_a_second(2 * settled, curve(2 * settled)) / items_a_second(settled, curve(settled))
        assert gain < 1.35  # 1.25 is what a long step must bring, and a tenth for the noise


@settings(max_examples=6, deadline=None)
@given(start=st.sampled_from(SIZES), seed=st.integers(0, 2**32))
def test_whatever_steps_take_it_tries_ever_more_seldom_and_stays_within_the_sizes(
    start: int, seed: int
) -> None:
    random = Random(seed)
    steps = 2_000
    caps = run(flat, start, steps, lambda: random.choice((0.2, 1, 5)), lambda: random.choice(SIZES))
    assert {cap.places for cap in caps} <= set(SIZES)
    # A move down doubles the pause that the next move up waits for, so that few downs have one after them. What is
    # beyond are the downs of the last fall, and ups: as many as downs, and those from the start to the top.
    downs = (steps // PAUSE).bit_length() + len(SIZES)
    assert moves(caps) <= 2 * downs + len(SIZES)

"""Slow or hung, moving or not, by a clock of the test's own."""

from __future__ import annotations

import pytest

from service.worker.pulse import MOVES_WITHIN, PATIENCE, Lane, Pulse

LEASE = 15.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(LEASE, clock)


KEPT, LOST, HUNG = (True, False), (False, False), (False, True)


def verdict(pulse: Pulse) -> tuple[bool, bool]:
    """Whether jobs are kept, and whether the device hangs."""
    return pulse.keeps_leases, pulse.hung


def test_an_idle_device_keeps_its_leases_for_ever(pulse: Pulse, clock: Clock) -> None:
    clock.now = 1e6
    assert verdict(pulse) == KEPT


def test_a_quick_call_may_last_as_long_as_a_lease_and_hangs_when_the_last_lease_is_over(
    pulse: Pulse, clock: Clock
) -> None:
    verdicts = {}
    with pulse.device_call(expected=0.01):
        for clock.now in (LEASE, LEASE + 0.1, 2 * LEASE, 2 * LEASE + 0.1):
            verdicts[clock.now] = verdict(pulse)
    assert list(verdicts.values()) == [KEPT, LOST, LOST, HUNG]


def test_a_slow_call_may_last_ten_times_what_was_profiled(pulse: Pulse, clock: Clock) -> None:
    verdicts = {}
    with pulse.device_call(expected=10.0):
        for clock.now in (PATIENCE * 10, PATIENCE * 10 + 0.1, PATIENCE * 10 + LEASE + 0.1):
            verdicts[clock.now] = verdict(pulse), pulse.moves
    assert list(verdicts.values()) == [(KEPT, True), (LOST, False), (HUNG, False)]


def test_a_call_that_came_back_is_forgotten_even_if_it_failed(pulse: Pulse, clock: Clock) -> None:
    def fail() -> None:
        with pulse.device_call(expected=0.01):
            clock.now = 100.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert verdict(pulse) == KEPT
    assert pulse.moves


@pytest.mark.parametrize("lane", list(Lane))
def test_a_call_that_hangs_in_either_lane_counts_though_the_other_one_moves(
    pulse: Pulse, clock: Clock, lane: Lane
) -> None:
    (other,) = set(Lane) - {lane}
    verdicts = []
    with pulse.device_call(expected=0.01, lane=lane):
        for clock.now in (LEASE, LEASE + 0.1, 2 * LEASE + 0.1):
            with pulse.device_call(expected=0.01, lane=other):
                pass
            verdicts.append((verdict(pulse), pulse.moves))
    assert verdicts == [(KEPT, True), (LOST, False), (HUNG, False)]
    assert verdict(pulse) == KEPT


def test_a_slow_call_does_not_excuse_a_quick_one_that_hangs(pulse: Pulse, clock: Clock) -> None:
    with pulse.device_call(100.0, Lane.VAE), pulse.device_call(0.01, Lane.STEP):
        clock.now = 2 * LEASE + 0.1
        assert verdict(pulse) == HUNG


def test_calls_of_both_lanes_know_that_they_met_and_others_that_they_did_not(pulse: Pulse) -> None:
    with pulse.device_call(1.0, Lane.VAE) as decode:
        with pulse.device_call(1.0, Lane.STEP) as step:
            pass
        assert step.beside
    assert decode.beside, "also where the other one is over"
    with pulse.device_call(1.0, Lane.STEP) as alone:
        pass
    assert not alone.beside


def test_a_loop_that_does_nothing_does_not_move_until_it_beats(pulse: Pulse, clock: Clock) -> None:
    clock.now = MOVES_WITHIN + 0.1
    before = pulse.moves
    pulse.beat()
    assert (before, pulse.moves) == (False, True)

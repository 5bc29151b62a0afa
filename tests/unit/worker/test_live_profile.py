"""The profile that a worker works by and tells of: what was measured at its start, corrected by what runs."""

from __future__ import annotations

import pytest

from service.worker.cap import FIRST_WAIT
from service.worker.live_profile import REFRESH, LiveProfile
from service.worker.profile import BatchProfile
from service.worker.step_times import FEWEST

# What a busy start left of a device whose steps take 0.05 s at any size: it measured two, and took the smaller.
BUSY = BatchProfile({1: 0.4, 2: 0.9}, 0.3, 0.5, sizes=(1, 2, 4, 8))
ENOUGH = max(REFRESH, FEWEST)


def observe(profile: LiveProfile, steps: int, seconds: float = 0.05) -> None:
    """As many steps, each as full as the profile lets it be."""
    for _ in range(steps):
        profile.observe_step(profile.cap, seconds)


def test_it_begins_as_measured() -> None:
    profile = LiveProfile(BUSY, 8)
    assert (profile.cap, profile.expected_step(1), profile.current.throughput) == (1, 0.4, BUSY.throughput)
    assert (profile.encode_seconds, profile.decode_seconds) == (0.3, 0.5)


def test_steps_that_run_take_the_place_of_what_a_busy_start_measured() -> None:
    profile = LiveProfile(BUSY, 8)
    observe(profile, ENOUGH)
    assert profile.expected_step(1) == 0.05
    assert profile.current.throughput == pytest.approx(BUSY.throughput * 8)


def test_sizes_that_have_not_run_are_corrected_in_proportion() -> None:
    profile = LiveProfile(BUSY, 8)
    observe(profile, ENOUGH)
    assert profile.expected_step(2) == pytest.approx(0.9 * 0.05 / 0.4)


def test_places_that_a_busy_start_took_are_won_back_under_load() -> None:
    profile = LiveProfile(BUSY, 8)
    observe(profile, 3 * (FIRST_WAIT + FEWEST) + REFRESH)
    assert (profile.cap, profile.current.cap) == (8, 8)
    assert profile.current.throughput == pytest.approx(2 * 8 / 0.05)


def test_places_stay_within_the_setting() -> None:
    profile = LiveProfile(BUSY, 3)
    observe(profile, 10 * FIRST_WAIT)
    assert profile.cap == 3
    assert LiveProfile(BatchProfile({1: 0.05, 8: 0.05}, 0.1, 0.1), 4).cap == 4


def test_places_stay_within_the_devices_memory() -> None:
    profile = LiveProfile(BatchProfile({1: 0.4, 2: 0.9}, 0.3, 0.5, sizes=(1, 2)), 8)
    observe(profile, 10 * FIRST_WAIT)
    assert profile.cap == 2


def test_a_size_that_is_only_tried_is_not_told_of() -> None:
    profile = LiveProfile(BUSY, 8)
    while profile.cap == 1:
        observe(profile, 1)
    assert (profile.cap, profile.current.cap) == (2, 1)


def test_encoding_and_decoding_are_told_as_they_lately_took() -> None:
    profile = LiveProfile(BUSY, 8)
    for _ in range(FEWEST):
        profile.observe_encode(0.01)
        profile.observe_decode(0.02)
    observe(profile, REFRESH)
    assert (profile.encode_seconds, profile.decode_seconds) == (0.01, 0.02)
    assert profile.current.vae_cost == pytest.approx(0.03 / (0.05 / 2))

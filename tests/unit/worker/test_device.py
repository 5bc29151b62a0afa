"""The engine's calls under faults: who is retried, who fails, and when the process should end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from service.contracts import Failure
from service.engine.base import Array, DeviceOutOfMemory, StepCoefficients
from service.engine.dummy import DummyEngine
from service.settings import Settings
from service.worker.batch import Item
from service.worker.device import MOST_FAILED_JOBS, POSTPONED, Device, DeviceError, DeviceMemoryError
from service.worker.failures import NOT_FINITE, OUR_FAULT, TOO_LARGE_FOR_DEVICE
from service.worker.live_profile import REFRESH, LiveProfile
from service.worker.profile import BatchProfile
from service.worker.pulse import Lane, Pulse
from service.worker.step_times import FEWEST
from tests.unit.worker.held_jobs import held_job

CAP = 8
PROFILE = BatchProfile({1: 0.001, 8: 0.001}, encode_seconds=0.001, decode_seconds=0.001)


class FaultyEngine(DummyEngine):
    """Notes the batches of its steps, and calls `fault` with each and with what it decodes before that runs."""

    def __init__(self) -> None:
        super().__init__(Settings(), image_size=64)
        self.batches: list[int] = []
        self.fault: Callable[[Sequence[Any]], None] = lambda _: None

    def step(self, states: Sequence[Any], coefficients: Sequence[StepCoefficients]) -> None:
        self.batches.append(len(states))
        self.fault(states)
        super().step(states, coefficients)

    def decode(self, states: Sequence[Any]) -> Array:
        self.fault(states)
        return super().decode(states)


@pytest.fixture
def engine() -> FaultyEngine:
    return FaultyEngine()


@pytest.fixture
def device(engine: FaultyEngine) -> Device:
    return Device(engine, LiveProfile(PROFILE, CAP), Pulse(15.0))


def running_items(device: Device, count: int) -> list[Item]:
    items = [held_job(f"s0-{index}").waiting[0] for index in range(count)]
    for item in items:
        item.job.encoded[0] = device.encode(item)
    assert device.begin(items) == [None] * count
    return items


def no_room_beyond(most: int) -> Callable[[Sequence[Any]], None]:
    def check(states: Sequence[Any]) -> None:
        if len(states) > most:
            raise DeviceOutOfMemory

    return check


def test_a_batch_that_fails_is_tried_again_item_by_item(device: Device, engine: FaultyEngine) -> None:
    items = running_items(device, 8)

    def poison(states: Sequence[Any]) -> None:
        if any(state is items[3].state for state in states):
            raise RuntimeError("poison")

    engine.fault = poison
    outcomes = device.step(items)
    assert outcomes == [None] * 3 + [OUR_FAULT] + [None] * 4
    assert engine.batches == [8] + [1] * 8


def test_out_of_memory_halves_the_batch_and_loses_nobody(device: Device, engine: FaultyEngine) -> None:
    items = running_items(device, 8)
    engine.fault = no_room_beyond(4)
    assert device.step(items) == [None] * 8
    assert engine.batches == [8, 4, 4]
    assert device.cap == 4


def test_out_of_memory_at_half_the_batch_is_the_end(device: Device, engine: FaultyEngine) -> None:
    items = running_items(device, 8)
    engine.fault = no_room_beyond(2)
    with pytest.raises(DeviceMemoryError):
        device.step(items)


def test_an_item_without_room_even_alone_fails_and_the_cap_stays(
    device: Device, engine: FaultyEngine
) -> None:
    items = running_items(device, 1)
    engine.fault = no_room_beyond(0)
    assert device.step(items) == [TOO_LARGE_FOR_DEVICE]
    assert device.cap == CAP


def test_a_picture_that_is_not_finite_is_a_failure_of_its_own(device: Device) -> None:
    first, second = running_items(device, 2)
    first.state.x[0, 0, 0] = float("nan")
    assert device.decode(first) == NOT_FINITE
    assert not isinstance(device.decode(second), Failure)


def test_an_item_that_the_vae_failed_is_tried_once_more(device: Device, engine: FaultyEngine) -> None:
    (item,) = running_items(device, 1)
    faults = [RuntimeError("once")]

    def fail(_states: Sequence[Any]) -> None:
        if faults:
            raise faults.pop()

    engine.fault = fail
    assert not isinstance(device.decode(item), Failure)
    faults += [RuntimeError("twice")] * 2
    assert device.decode(item) == OUR_FAULT


@pytest.mark.parametrize("overlaps", [True, False])
def test_a_batch_without_room_beside_the_vae_is_postponed_and_the_vae_steps_aside_from_then_on(
    engine: FaultyEngine, overlaps: bool
) -> None:
    pulse = Pulse(15.0)
    device = Device(engine, LiveProfile(PROFILE, CAP), pulse, overlaps=overlaps)
    items = running_items(device, 8)
    engine.fault = no_room_beyond(4)
    with pulse.device_call(1.0, Lane.VAE):
        assert device.step(items) == [POSTPONED] * 8
    assert not device.overlaps
    assert device.cap == CAP
    assert device.step(items) == [None] * 8
    assert device.cap == 4, "alone there was too little room for it, too"


def test_an_item_without_room_beside_a_step_is_postponed_even_if_that_came_later(
    engine: FaultyEngine,
) -> None:
    pulse = Pulse(15.0)
    device = Device(engine, LiveProfile(PROFILE, CAP), pulse, overlaps=True)
    (item,) = running_items(device, 1)

    def step_and_no_room(_states: Sequence[Any]) -> None:
        with pulse.device_call(1.0, Lane.STEP):
            pass
        raise DeviceOutOfMemory

    engine.fault = step_and_no_room
    assert device.decode(item) is POSTPONED
    assert not device.overlaps
    engine.fault = no_room_beyond(0)
    assert device.decode(item) == TOO_LARGE_FOR_DEVICE


def test_jobs_that_fail_one_after_the_other_condemn_the_device(device: Device, engine: FaultyEngine) -> None:
    items = running_items(device, MOST_FAILED_JOBS)

    def fail(_states: Sequence[Any]) -> None:
        raise RuntimeError("gone")

    engine.fault = fail
    for item in items[:-1]:
        assert device.step([item]) == [OUR_FAULT]
        assert device.step([item]) == [OUR_FAULT], "one job counts once"
    with pytest.raises(DeviceError):
        device.step([items[-1]])


def test_a_device_that_steps_no_more_is_condemned_although_it_begins_jobs(
    device: Device, engine: FaultyEngine
) -> None:
    items = running_items(device, MOST_FAILED_JOBS)

    def fail(_states: Sequence[Any]) -> None:
        raise RuntimeError("gone")

    engine.fault = fail
    for item in items[:-1]:
        assert device.begin([item]) == [None]
        assert device.step([item]) == [OUR_FAULT]
    with pytest.raises(DeviceError):
        device.step([items[-1]])


def test_one_call_that_works_clears_the_device(device: Device, engine: FaultyEngine) -> None:
    items = running_items(device, MOST_FAILED_JOBS + 1)

    def fail(_states: Sequence[Any]) -> None:
        raise RuntimeError("their own fault")

    for item in items[:-1]:
        engine.fault = fail
        assert device.step([item]) == [OUR_FAULT]
        engine.fault = lambda _: None
        assert device.step([items[-1]]) == [None]


def test_what_calls_take_is_told_to_the_profile(engine: FaultyEngine) -> None:
    """A second was measured for each, at a busy start; the real calls take far less."""
    profile = LiveProfile(BatchProfile({1: 1.0}, encode_seconds=1.0, decode_seconds=1.0), CAP)
    device = Device(engine, profile, Pulse(15.0))
    for item in running_items(device, max(REFRESH, FEWEST)):
        device.decode(item)
        device.step([item])
    assert profile.expected_step(1) < 1.0
    assert profile.encode_seconds < 1.0
    assert profile.decode_seconds < 1.0

"""What one worker can do at most, and what one request takes with nothing else to do: the units of load and latency."""

from __future__ import annotations

from benchmarks.fleet.timing import NO_TIME, Timing
from benchmarks.fleet.workload import Mix
from service.worker.profile import BatchProfile


def requests_a_second(profile: BatchProfile, mix: Mix, turn_seconds: float = 0.0) -> float:
    """Of one worker whose batch is always full: 1 / (crops x (steps x step(b) / b + encode + decode))."""
    step = (profile.expected_step(profile.cap) + turn_seconds) / profile.cap
    crop = mix.mean_steps * step + profile.encode_seconds + profile.decode_seconds
    return 1 / (mix.mean_crops * crop)


def seconds_alone(profile: BatchProfile, steps: float, timing: Timing = NO_TIME) -> float:
    """From sending to the visible result of one crop on an idle worker."""
    around = timing.submit_seconds + timing.claim_seconds + timing.prepare_seconds + timing.finish_seconds
    device = steps * (profile.expected_step(1) + timing.turn_seconds)
    return around + device + profile.encode_seconds + profile.decode_seconds

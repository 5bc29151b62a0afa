"""Seconds that the service itself takes around the device, and how often workers fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one job: from the client to the queue, from the queue to a worker, its decoding, and from its last fill to
    the visible result; of each turn: the loop's own work. What other threads do is taken to be never short of cores.
    """

    submit_seconds: float = 0.004
    claim_seconds: float = 0.002
    prepare_seconds: float = 0.005
    finish_seconds: float = 0.008
    turn_seconds: float = 0.002


@dataclass(frozen=True, slots=True)
class Failures:
    """Workers die after `mean_seconds` on average (exponential) with all that they hold, and are back after
    `restart_seconds`. The lease and its renewal are the settings' defaults.
    """

    mean_seconds: float
    restart_seconds: float = 30.0
    lease: float = 15.0
    renew_every: float = 4.0


NO_TIME = Timing(0.0, 0.0, 0.0, 0.0, 0.0)

"""When a failed call is tried again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from moebius_client.errors import ConnectionFailed, JobExpired, MoebiusError, QueueLost, ServiceError

RANDOM = random.SystemRandom()  # spreads clients, also those that were forked from one
TRANSIENT_STATUSES = frozenset({408, 429, 502, 503, 504})
# The job's end and the job's loss: the same question gets the same answer.
FINAL = (JobExpired, QueueLost)


def is_transient(error: MoebiusError) -> bool:
    """Whether the same call may succeed in a moment. Each of ours may be sent twice: submissions have a key."""
    if isinstance(error, ServiceError):
        return error.status in TRANSIENT_STATUSES and not isinstance(error, FINAL)
    return isinstance(error, ConnectionFailed)


@dataclass(frozen=True, slots=True)
class Retry:
    """How stubborn a client is. `attempts` counts the first one, too: 1 never repeats.

    The wait is random, up to `first_delay` seconds after the first failure and twice that after each further one, at
    most `longest_delay`. Where the service says how long to wait (Retry-After), it is that and up to a quarter more, so
    that clients don't return all at once; an error that asks for more than `longest_retry_after` is raised.
    """

    attempts: int = 5
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_retry_after: float = 120.0

    def delay(self, failures: int, error: MoebiusError) -> float | None:
        """Seconds to wait after the `failures`-th failure in a row; None where `error` is the last word."""
        if failures >= self.attempts or not is_transient(error):
            return None
        asked = error.retry_after if isinstance(error, ServiceError) else None
        if asked is not None:
            return asked * RANDOM.uniform(1, 1.25) if asked <= self.longest_retry_after else None
        ceiling = min(self.longest_delay, self.first_delay * 2 ** min(failures - 1, 32))
        return RANDOM.uniform(0, ceiling)


class Attempts:
    """The failures of one call so far."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failures = 0

    def wait_after(self, error: MoebiusError) -> float:
        """Seconds to wait before the next attempt. Raises `error` where there is none."""
        self._failures += 1
        delay = self._retry.delay(self._failures, error)
        if delay is None:
            raise error
        return delay

    def begin_anew(self) -> None:
        """Something has come through: what fails from now on is another failure."""
        self._failures = 0


DEFAULT_RETRY = Retry()

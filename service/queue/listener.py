"""A worker's subscription: calls it when a job may be waiting. Only a hint; workers poll too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import redis
import redis.client
from redis.exceptions import RedisError

STOP_POLL = 0.5  # seconds
RECONNECT_AFTER = 0.5  # seconds


class WakeListener:
    """The thread. `on_wake` is called there: once the subscription stands, and at each message."""

    def __init__(self, connection: redis.Redis, channels: Sequence[str], on_wake: Callable[[], None]) -> None:
        self._connection = connection
        self._channels = channels
        self._on_wake = on_wake
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wakes", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except (RedisError, OSError):
                # The worker polls meanwhile, and tells an outage itself.
                self._stopped.wait(RECONNECT_AFTER)

    def _listen(self) -> None:
        with redis.client.PubSub(self._connection.connection_pool) as subscription:
            subscription.subscribe(*self._channels)
            while not self._stopped.is_set():
                if subscription.get_message(timeout=STOP_POLL) is not None:
                    self._on_wake()

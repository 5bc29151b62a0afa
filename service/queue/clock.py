"""The queue server's clock as an edge sees it: asked now and then, and in between our own one, set right."""

from __future__ import annotations

import time

import redis.asyncio

from service.queue.connection import queue_errors

KEPT = 10.0  # seconds in which our clock and the server's go at the same pace


class ServerClock:
    """Deadlines are told in this time."""

    def __init__(self, connection: redis.asyncio.Redis) -> None:
        self._redis = connection
        self._until = 0.0
        self._offset = 0.0

    async def now(self) -> float:
        """Unix seconds. Raises QueueUnavailable."""
        if time.monotonic() >= self._until:
            asked = time.monotonic()
            with queue_errors("now"):
                seconds, microseconds = await self._redis.time()
            answered = time.monotonic()
            self._offset = seconds + microseconds / 1e6 - (asked + answered) / 2
            self._until = answered + KEPT
        return time.monotonic() + self._offset

"""The edge's one subscription: tells who waits for a job that it has ended. Only a hint; waiters poll too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis.asyncio
from redis.exceptions import RedisError

RECONNECT_AFTER = 0.5  # seconds
CANCEL_AGAIN_AFTER = 0.05  # seconds


class Wakes:
    """Waiters by job id. The subscription starts with the first waiter, in that waiter's event loop."""

    def __init__(self, connection: redis.asyncio.Redis, channels: Sequence[str]) -> None:
        self._connection = connection
        self._channels = channels
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None

    @contextmanager
    def expect(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the job ends, if the message arrives."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        event = asyncio.Event()
        self._waiters.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiters[job_id].discard(event)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    async def aclose(self) -> None:
        """End the subscription."""
        listener, self._listener = self._listener, None
        while listener is not None and not listener.done():
            # More than once: redis-py sends inside asyncio.wait_for, which loses some cancels before
            # Python 3.12.
            listener.cancel()
            await asyncio.wait({listener}, timeout=CANCEL_AGAIN_AFTER)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._connection.pubsub() as subscription:
                    await subscription.subscribe(*self._channels)
                    async for message in subscription.listen():
                        if message["type"] == "message":
                            self._wake(message["data"].decode())
                        else:
                            self._wake_all()  # it stands from now on: what ended before was not told
            except (RedisError, OSError):
                # Waiters poll meanwhile, and tell an outage themselves.
                await asyncio.sleep(RECONNECT_AFTER)

    def _wake_all(self) -> None:
        for job_id in self._waiters:
            self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        for event in self._waiters.get(job_id, ()):
            event.set()

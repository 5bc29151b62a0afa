"""Which models live workers serve, as edges ask it for every request: from their registrations, kept a moment."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import redis.asyncio

from service.contracts import ServedModel
from service.queue.connection import queue_errors
from service.queue.keys import Shard
from service.queue.wire import decode_models

KEPT = 1.0  # seconds; how long a worker that left may still be told of


class ServedModels:
    """The models of one queue; `default` is told first."""

    def __init__(self, connection: redis.asyncio.Redis, default: str) -> None:
        self._redis = connection
        self._default = default
        self._until = 0.0
        self._models: tuple[ServedModel, ...] = ()
        self._look: asyncio.Task[tuple[ServedModel, ...]] | None = None

    async def models(self) -> tuple[ServedModel, ...]:
        """Each name once. Raises QueueUnavailable. Many who ask at once share one look."""
        if time.monotonic() < self._until:
            return self._models
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._read_and_keep())
        return await asyncio.shield(self._look)

    async def _read_and_keep(self) -> tuple[ServedModel, ...]:
        self._models = await self._read()
        self._until = time.monotonic() + KEPT if self._models else 0.0
        return self._models

    async def _read(self) -> tuple[ServedModel, ...]:
        shard = Shard(0)  # workers register with each
        with queue_errors("models"):
            workers = cast(list[bytes], await self._redis.zrange(shard.key("workers"), 0, -1))
            async with self._redis.pipeline(transaction=False) as pipeline:
                for worker in workers:
                    pipeline.hget(shard.key("worker", worker.decode()), "models")
                registered = await pipeline.execute()
        found = {
            model.name: model for data in registered if data is not None for model in decode_models(data)
        }
        return tuple(found[name] for name in sorted(found, key=lambda name: (name != self._default, name)))

"""Which models requests are taken for, as edges ask it for every request: those of live workers, from their
registrations, and those that may sleep, from what was last registered. Kept a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import cast

import redis.asyncio

from service.contracts import ServedModel
from service.queue.connection import queue_errors
from service.queue.keys import Shard
from service.queue.wire import decode_models

logger = logging.getLogger(__name__)

KEPT = 1.0  # seconds; how long a worker that left may still be told of


class ServedModels:
    """The models of one queue; `default` is told first, and those of `sleeping` also while no worker serves them."""

    def __init__(self, connection: redis.asyncio.Redis, default: str, sleeping: Iterable[str] = ()) -> None:
        self._redis = connection
        self._default = default
        self._sleeping = tuple(sleeping)
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
            found = _merged(model for data in registered if data is not None for model in decode_models(data))
            asleep = [name for name in self._sleeping if name not in found]
            if asleep:
                found |= await self._last_registered(shard, asleep)
        return tuple(found[name] for name in sorted(found, key=lambda name: (name != self._default, name)))

    async def _last_registered(self, shard: Shard, names: Sequence[str]) -> dict[str, ServedModel]:
        """Those of the names that a worker has ever served. One that another version registered may not be read."""
        fields = [f"served:{name}" for name in names]
        registered = cast(list[bytes | None], await self._redis.hmget(shard.key("ledger"), fields))
        found: dict[str, ServedModel] = {}
        for name, data in zip(names, registered, strict=True):
            try:
                models = decode_models(data) if data is not None else ()
            except ValueError:
                logger.warning("a sleeping model is not known to this version", extra={"model": name})
                models = ()
            found |= {model.name: model for model in models if model.name == name}
        return found


def _merged(registered: Iterable[ServedModel]) -> dict[str, ServedModel]:
    """Each name once. What the VAE costs is the mean of the workers that tell it: any of them may get the job."""
    by_name: dict[str, list[ServedModel]] = {}
    for model in registered:
        by_name.setdefault(model.name, []).append(model)
    return {name: replace(models[-1], vae_cost=_mean_vae_cost(models)) for name, models in by_name.items()}


def _mean_vae_cost(models: Sequence[ServedModel]) -> float | None:
    told = [model.vae_cost for model in models if model.vae_cost is not None]
    return fmean(told) if told else None

"""What lua/load.lua answers of each shard, put together to the load of the whole queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.contracts import Priority
from service.queue_load import ModelLoad, QueueDepth, QueueLoad


def decode_load(answers: Sequence[Sequence[Any]]) -> QueueLoad:
    """Jobs and costs are summed over the shards. A worker registers with each of them, and counts once.

    Shards may be on servers of their own: the memory is that of the fullest.
    """
    used, most = max((memory for _, _, memory in answers), key=_fullness)
    return QueueLoad(
        depths={
            priority: _depth([depths[index] for depths, _, _ in answers])
            for index, priority in enumerate(Priority)
        },
        models=_models([model for _, models, _ in answers for model in models]),
        memory_used=used,
        memory_max=most,
    )


def _depth(parts: Sequence[tuple[int, int, int]]) -> QueueDepth:
    return QueueDepth(
        waiting=sum(waiting for waiting, _, _ in parts),
        running=sum(running for _, running, _ in parts),
        oldest_age=max(milliseconds for _, _, milliseconds in parts) / 1000,
    )


def _models(entries: Sequence[Sequence[Any]]) -> dict[str, ModelLoad]:
    """From {model, workers, throughput, cost by priority...} of every shard."""
    parts: dict[str, list[Sequence[Any]]] = {}
    for name, *told in entries:
        parts.setdefault(name.decode(), []).append(told)
    return {
        name: ModelLoad(
            # Not below 0: a version that does not know these sums may have queued what was taken out of them.
            ready_cost={
                priority: max(0.0, sum(float(costs[index]) for _, _, *costs in told))
                for index, priority in enumerate(Priority)
            },
            workers=max(workers for workers, *_ in told),
            capacity=max(float(throughput) for _, throughput, *_ in told),
        )
        for name, told in sorted(parts.items())
    }


def _fullness(memory: tuple[int, int]) -> tuple[float, int]:
    used, most = memory
    return (used / most if most else 0.0), used

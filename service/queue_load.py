"""What a queue holds, as its server tells it and metrics show it: what waits, who works, how full the server is."""

from __future__ import annotations

from dataclasses import dataclass

from service.contracts import Priority


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Jobs of one priority; `oldest_age`: seconds since the oldest one that waits was created, or 0."""

    waiting: int
    running: int
    oldest_age: float


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """What waits for a model, and who serves it. `ready_cost` is in the unit of `queue/fairness.py:cost_of`, by
    priority; `capacity` is what its live `workers` say they do of it a second, 0 where none has measured.
    """

    ready_cost: dict[Priority, float]
    workers: int
    capacity: float


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """All that a queue holds, by priority and by model; bytes of its server, `memory_max` 0 where it has no limit."""

    depths: dict[Priority, QueueDepth]
    models: dict[str, ModelLoad]
    memory_used: int
    memory_max: int

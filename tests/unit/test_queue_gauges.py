"""What one look at the queue says as metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from service.contracts import Priority
from service.queue_gauges import QueueCollector
from service.queue_load import ModelLoad, QueueDepth, QueueLoad

LOAD = QueueLoad(
    depths={
        Priority.INTERACTIVE: QueueDepth(waiting=4, running=3, oldest_age=1.5),
        Priority.BATCH: QueueDepth(waiting=1, running=0, oldest_age=60.0),
    },
    models={
        "nano": ModelLoad({Priority.INTERACTIVE: 168.0, Priority.BATCH: 0.0}, workers=2, capacity=30.5),
        "large": ModelLoad({Priority.INTERACTIVE: 0.0, Priority.BATCH: 42.0}, workers=0, capacity=0.0),
    },
    memory_used=1000,
    memory_max=4000,
)


def value(load: QueueLoad, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(QueueCollector(load))
    return registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("inpaint_queue_jobs", {"priority": "interactive", "state": "waiting"}, 4),
        ("inpaint_queue_jobs", {"priority": "interactive", "state": "running"}, 3),
        ("inpaint_oldest_job_age_seconds", {"priority": "batch"}, 60),
        ("inpaint_queue_ready_cost", {"model": "nano", "priority": "interactive"}, 168),
        ("inpaint_queue_ready_cost", {"model": "large", "priority": "batch"}, 42),
        ("inpaint_workers", {"model": "nano"}, 2),
        ("inpaint_workers", {"model": "large"}, 0),
        ("inpaint_worker_capacity", {"model": "nano"}, 30.5),
        ("inpaint_redis_memory_bytes", {"kind": "used"}, 1000),
        ("inpaint_redis_memory_bytes", {"kind": "max"}, 4000),
    ],
)
def test_the_load_is_told_by_model_priority_state_and_kind(
    name: str, labels: dict[str, str], expected: float
) -> None:
    assert value(LOAD, name, **labels) == expected


def test_a_server_without_a_limit_has_no_series_for_it() -> None:
    unlimited = replace(LOAD, memory_max=0)
    assert value(unlimited, "inpaint_redis_memory_bytes", kind="max") is None
    assert value(unlimited, "inpaint_redis_memory_bytes", kind="used") == 1000

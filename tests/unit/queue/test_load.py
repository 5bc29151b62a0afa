"""The load of several shards as one."""

from __future__ import annotations

from typing import Any

from service.contracts import Priority
from service.queue.load import decode_load
from service.queue_load import ModelLoad, QueueDepth

IDLE = [0, 0, 0]


def shard(model: list[Any], memory: list[int], interactive: list[int] = IDLE) -> list[Any]:
    """An answer of lua/load.lua."""
    return [[interactive, IDLE], [model], memory]


def test_jobs_and_costs_add_up_while_a_worker_counts_once() -> None:
    load = decode_load(
        [
            shard([b"nano", 2, b"30.5", b"42", b"0"], [10, 100], interactive=[1, 2, 1500]),
            shard([b"nano", 2, b"30.5", b"84", b"0.5"], [10, 100], interactive=[3, 4, 500]),
        ]
    )
    assert load.depths[Priority.INTERACTIVE] == QueueDepth(waiting=4, running=6, oldest_age=1.5)
    assert load.models == {
        "nano": ModelLoad({Priority.INTERACTIVE: 126, Priority.BATCH: 0.5}, workers=2, capacity=30.5)
    }


def test_the_memory_is_that_of_the_fullest_server() -> None:
    model = [b"nano", 1, b"0", b"0", b"0"]
    fullest = decode_load([shard(model, [60, 100]), shard(model, [90, 1000])])
    assert (fullest.memory_used, fullest.memory_max) == (60, 100)
    unlimited = decode_load([shard(model, [60, 0]), shard(model, [90, 0])])
    assert (unlimited.memory_used, unlimited.memory_max) == (90, 0)


def test_a_cost_is_never_told_below_0() -> None:
    load = decode_load([shard([b"nano", 0, b"0", b"-42", b"0"], [1, 0])])
    assert load.models["nano"].ready_cost[Priority.INTERACTIVE] == 0

"""Memory is told after a minute and at the end, with the slope of a line; keys by kind and lifetime."""

from __future__ import annotations

import pytest
import redis

from benchmarks.soak import job_keys, keys_without_lifetime, left_keys, memory_of
from service.queue.keys import Shard


def test_the_first_minute_does_not_count() -> None:
    samples = [(5.0, 10.0), (60.0, 50.0), (3660.0, 53.0)]
    memory = memory_of("worker", samples)
    assert (memory.start, memory.end, memory.most) == (50.0, 53.0, 53.0)
    assert memory.slope == pytest.approx(3.0)


def test_the_most_is_seen_in_between() -> None:
    assert memory_of("worker", [(60.0, 1.0), (70.0, 9.0), (80.0, 1.0)]).most == 9.0


def test_a_run_of_less_than_a_minute_counts_whole() -> None:
    assert memory_of("worker", [(1.0, 5.0), (2.0, 6.0)]).start == 5.0


def test_keys_are_counted_by_kind_and_those_that_stay_for_ever_named(queue_url: str) -> None:
    with redis.Redis.from_url(queue_url) as server:
        shard = Shard()
        server.set(shard.key("result", "s0-1"), b"", ex=100)
        server.set(shard.key("image", "s0-1"), b"")
        server.hset(shard.key("ledger"), "epoch", "1")
        keys = left_keys(server)
        assert keys == {"image": 1, "ledger": 1, "result": 1}
        assert job_keys(keys) == 2
        assert keys_without_lifetime(server) == [shard.key("image", "s0-1")]

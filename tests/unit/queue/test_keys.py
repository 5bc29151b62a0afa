"""Names in Redis: one slot a shard, ids that nobody guesses."""

from __future__ import annotations

import pytest

from service.errors import JobNotFound
from service.queue.keys import Shard, new_job_id


def test_all_keys_of_a_shard_share_its_hash_tag() -> None:
    shard = Shard(3)
    keys = [*shard.script_keys, shard.wake("m"), shard.key("job", "x")]
    assert all("{s3}" in key for key in keys)


def test_no_two_script_keys_are_the_same() -> None:
    keys = Shard().script_keys
    assert len(set(keys)) == len(keys)


def test_an_id_names_its_shard() -> None:
    assert Shard.of(new_job_id(shard=12)) == Shard(12)


def test_ids_differ() -> None:
    assert len({new_job_id() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "job_id",
    ["", "s0", "s0-12", "s-" + "0" * 32, "S0-" + "0" * 32, "s0-" + "0" * 33, "s0-" + "0" * 32 + "\n"],
)
def test_what_is_no_id_is_an_unknown_job(job_id: str) -> None:
    with pytest.raises(JobNotFound):
        Shard.of(job_id)

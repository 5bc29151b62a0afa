"""What every fault test ends with: each acknowledged job in exactly one result or clear failure, and nothing left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest
import redis

from service.contracts import TERMINAL_KINDS, EventKind, JobStatus, Result, Status
from service.errors import InpaintError
from service.queue.client import QueueClient
from service.queue.keys import STRUCTURAL, UPLOAD_LIFETIME, Shard
from tests.faults.polling import PATIENCE

ALICE = "alice"
MEANWHILE_EMPTY = ("leases", "deadlines", "backlog", "ready:*", "alone:*", "waiting:*", "running:*")
AT_ONCE = 16  # jobs that are looked at together
OUTAGE_CODES = frozenset({"queue_unavailable", "queue_lost", "job_not_found", "job_not_finished"})


@dataclass(frozen=True)
class Ending:
    """What its client sees of a job that has ended: a result, or the code of its failure."""

    status: JobStatus
    result: Result | None
    code: str | None


async def every_job_ended(
    client: QueueClient, job_ids: Iterable[str], owner: str = ALICE
) -> dict[str, Ending]:
    """Wait for each job's end, and hold that it has exactly one."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def look(job_id: str) -> Ending:
        async with turn, asyncio.timeout(PATIENCE):
            return await the_one_ending(client, job_id, owner)

    async with asyncio.TaskGroup() as group:
        looks = {job_id: group.create_task(look(job_id)) for job_id in job_ids}
    return {job_id: task.result() for job_id, task in looks.items()}


async def all_succeeded(client: QueueClient, job_ids: Iterable[str]) -> dict[str, Ending]:
    """Wait for each job's end, and hold that it is one result."""
    endings = await every_job_ended(client, job_ids)
    for job_id, ending in endings.items():
        assert ending.result is not None, f"{job_id} ended with {ending.code}"
    return endings


async def the_one_ending(client: QueueClient, job_id: str, owner: str = ALICE) -> Ending:
    """The job's end, the same in the result, the status and the events; of these one alone is an end."""
    first = await _outcome(client.wait(job_id, owner))
    assert await _outcome(client.result(job_id, owner)) == first
    status = await client.status(job_id, owner)
    events = [event async for event in client.events(job_id, owner)]
    assert [event for event in events if event.terminal] == events[-1:]
    assert events[-1].kind == EventKind(status.status.value) in TERMINAL_KINDS
    numbers = [int(event.id) for event in events]
    assert numbers == sorted(set(numbers))
    result, code = first
    assert (result is not None) == (status.status is Status.SUCCEEDED)
    assert code not in OUTAGE_CODES, f"{job_id}: {code}"
    if result is not None:
        assert result.pictures
        assert all(result.pictures)
    return Ending(status, result, code)


async def _outcome(answer: Awaitable[Result]) -> tuple[Result | None, str | None]:
    try:
        return await answer, None
    except InpaintError as error:
        return None, error.code


def nothing_is_left(server: redis.Redis, *, never_queued: Collection[str] = ()) -> None:
    """No payload, lease or place in a list is left, the ledger is balanced, and all else goes by itself.

    `never_queued`: ids of submits that were refused or not answered; the pictures of those that never came to be
    jobs go a minute after their upload.
    """
    shard = Shard()
    structural = [shard.key(name) for name in STRUCTURAL]
    emptied = [shard.key(name) for name in MEANWHILE_EMPTY]
    abandoned = {shard.key(kind, job_id) for job_id in never_queued for kind in ("image", "mask")}
    payloads = (shard.key("image:*"), shard.key("mask:*"))
    for raw in server.scan_iter():
        key = raw.decode()
        assert not any(fnmatchcase(key, pattern) for pattern in emptied), f"{key} is left"
        if any(fnmatchcase(key, pattern) for pattern in payloads):
            assert key in abandoned, f"{key} is left"
            assert 0 < server.ttl(key) <= UPLOAD_LIFETIME, f"{key} lives too long"
        if not any(fnmatchcase(key, pattern) for pattern in structural):
            assert server.pttl(key) > 0, f"{key} has no lifetime"
    for field, value in server.hscan_iter(shard.key("ledger")):
        if field == b"bytes" or field.startswith((b"waiting:", b"running:", b"ready:")):
            assert float(value) == pytest.approx(0, abs=1e-6), f"{field.decode()} is {value.decode()}"

"""Names and lifetimes of everything in Redis. Keys of a shard share the hash tag `{sN}`, as job ids do.

Structural keys are the only ones without a lifetime; Redis drops them itself when they are empty.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from service.errors import JobNotFound

JOB_ID = re.compile(r"s(\d{1,4})-[0-9a-f]{32}")
UPLOAD_LIFETIME = 60  # seconds from the payload's arrival to its submit; then it lives as long as the job
FLOW_LIFETIME = 3600.0  # seconds that a client's place in the fair order is remembered

STRUCTURAL = (
    *("ledger", "shares", "leases", "deadlines", "backlog", "workers"),
    *("ready:*", "alone:*", "waiting:*", "running:*"),
)


def new_job_id(shard: int = 0) -> str:
    """The shard, and 128 random bits that nobody guesses."""
    return f"s{shard}-{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the queue: its keys live in one slot of a cluster, so that a script may touch them all.

    ledger            hash: epoch (another one once data were lost), bytes, arrivals; of each model the clock
                      of its fair order, the cost of what waits, also by priority, and what runs, and the
                      models that a worker last registered together with it
    shares            hash: of each client the jobs and bytes that it has in the queue
    leases            zset: running job -> when its worker loses it, server ms
    deadlines         zset: job that has not ended -> its deadline, server ms
    backlog           hash: job that has not ended -> its bytes, cost, priority, model and client
    workers           zset: worker -> when its registration ends, server ms
    ready:MODEL       zset: waiting job -> its tag in the fair order
    alone:MODEL       zset: the same, of jobs that must run with no neighbour
    waiting:PRIORITY  zset: waiting job -> when it was created, server ms
    running:PRIORITY  zset: the same, of running jobs

    With a lifetime: rates, a hash: of each model the throughput of its live workers, and of one of them, in cost a
    second; ms of a step of one item. worker:ID, a worker's registration; claims:ID, what its last claim was answered;
    flow:MODEL:PRIORITY:CLIENT, the start of its next job; key:LENGTH:CLIENT:KEY, the job of an idempotency
    key;
    link:LINK, a result that anybody with the link may read;
    job:ID, image:ID, mask:ID, events:ID, preview:ID and result:ID, kept until the deadline + the result's lifetime.
    """

    number: int = 0

    @classmethod
    def of(cls, job_id: str) -> Shard:
        """The shard of a job. Raises JobNotFound for what is no job id."""
        match = JOB_ID.fullmatch(job_id)
        if match is None:
            raise JobNotFound(f"There is no job {job_id[:64]!r}. Use the id that the service gave you.")
        return cls(int(match[1]))

    def key(self, kind: str, name: str = "") -> str:
        """`moebius:{s0}:kind`, or with a name `moebius:{s0}:kind:name`."""
        return f"moebius:{{s{self.number}}}:{kind}" + (f":{name}" if name else "")

    @property
    def done(self) -> str:
        """Channel on which the ids of ended jobs are told."""
        return self.key("done")

    def wake(self, model: str) -> str:
        """Channel that wakes the workers of a model."""
        return self.key("wake", model)

    @property
    def script_keys(self) -> tuple[str, ...]:
        """KEYS of every script, as lua/common.lua unpacks them: whole keys, then prefixes with a colon."""
        whole = ("ledger", "shares", "rates", "leases", "deadlines", "backlog", "workers", "done")
        prefixes = (
            *("ready", "alone", "waiting", "running", "job", "image", "mask", "events", "preview", "result"),
            *("flow", "key", "wake", "worker", "claims"),
        )
        return (*map(self.key, whole), *(self.key(kind) + ":" for kind in prefixes))

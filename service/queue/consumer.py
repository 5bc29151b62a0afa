"""The queue as workers use it: claim, report, renew, finish, give back; and the upkeep that each does for all."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from secrets import SystemRandom
from typing import Any

from service import telemetry
from service.contracts import Failure, Job, Progress, Result, Status, WorkerRegistration
from service.queue.connection import connect, queue_errors, risks_of
from service.queue.keys import Shard
from service.queue.listener import WakeListener
from service.queue.scripts import load_script
from service.queue.wire import JOB_FIELDS, decode_job, encode_models, encode_result
from service.settings import Settings

MOST_ATTEMPTS = 3
DRAIN_TIME = 5.0  # seconds that a job waits for a busy worker to run empty before another one may take it
UPKEEP_BATCH = 100  # jobs a script call, so that none holds the server for long
UPKEEP_EVERY = 1.0  # seconds; how late a deadline may be told of a job that nobody watches
TRANSITIONS = ("register", "claim", "report", "renew", "finish", "fail", "release", "reclaim")
HELD, LOST = 1, -1  # answers of lua/renew.lua and lua/report.lua


@dataclass(frozen=True, slots=True)
class Claim:
    """A job leased to this worker; `token` fences what it writes. `attempt` counts from 1; `remaining` are the
    seconds to its deadline when it was claimed. One that is `alone` must have no neighbour on its worker.
    """

    job: Job
    token: int
    attempt: int
    queued_seconds: float
    remaining: float
    alone: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought. `drain`: a job that must run alone is kept for this worker for a while; it should
    take nothing more, run empty, and claim again. Without `more`, no job was left that this worker could have.
    """

    claims: tuple[Claim, ...]
    drain: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Lease:
    """A job that a script has given us and whose payload is still to be read."""

    job_id: str
    token: int
    attempt: int
    waited: int
    places: int

    @property
    def alone(self) -> bool:
        return self.attempt >= MOST_ATTEMPTS


class QueueConsumer:
    """Synchronous access to the queue for one worker. Every method raises QueueUnavailable in an outage.

    `claim`, `listen` and `close` belong to one thread; everything else may be called from any.
    """

    def __init__(self, url: str, settings: Settings, worker: WorkerRegistration) -> None:
        self._settings = settings
        self._worker = worker
        self._restate: Callable[[WorkerRegistration], WorkerRegistration] = lambda registration: registration
        self._redis = connect(url)
        self._shards = tuple(map(Shard, range(settings.queue_shards)))
        self._scripts = {name: self._redis.register_script(load_script(name)) for name in TRANSITIONS}
        self._listener: WakeListener | None = None
        self._nonces = {shard: secrets.token_hex(8) for shard in self._shards}
        self._unread: list[_Lease] = []
        self._first_shard = 0
        self._refresh_at = inf
        self._reclaim_at = 0.0

    def keep_true(self, restate: Callable[[WorkerRegistration], WorkerRegistration]) -> None:
        """Register from now on what `restate` makes of what was registered before."""
        self._restate = restate

    def register(self) -> None:
        """Tell the edges that this worker serves its models; `keep_up` keeps it told."""
        now = time.monotonic()
        worker = self._worker = self._restate(self._worker)
        for shard in self._shards:
            self._run(
                "register",
                shard,
                *(worker.worker_id, self._lease_ms, encode_models(worker), worker.places),
                *(worker.throughput, worker.throughput / len(self._shards), worker.step_seconds * 1000),
                *[model.name for model in worker.models],
            )
        self._refresh_at = now + self._settings.renew_every

    def risks(self) -> tuple[str, ...]:
        """How the server is set up so that it may lose acknowledged jobs; empty if it is not."""
        with queue_errors("info"):
            return risks_of(self._redis)

    def keep_up(self) -> None:
        """Register again and do the queue's upkeep when either is due; nothing otherwise."""
        if time.monotonic() >= self._reclaim_at:
            # Jittered, so that the workers of a large pool take turns.
            self._reclaim_at = time.monotonic() + UPKEEP_EVERY * SystemRandom().uniform(0.5, 1.5)
            self.reclaim()
        if time.monotonic() >= self._refresh_at:
            self.register()

    def listen(self, models: Sequence[str], on_wake: Callable[[], None]) -> None:
        """Call `on_wake`, in a thread of its own, whenever a job of these models may be waiting."""
        channels = [shard.wake(model) for shard in self._shards for model in models]
        self._listener = WakeListener(self._redis, channels, on_wake)
        self._listener.start()

    def claim(
        self, models: Sequence[str], *, places: int, idle: bool, drain_time: float = DRAIN_TIME
    ) -> Claimed:
        """Jobs of these models, in fair order, until their places reach `places`; never waits for one.

        A claim whose answer was lost is repeated by the next call, and brings the same jobs.
        """
        drain = False
        self._first_shard += 1  # no shard is always the first
        for offset in range(len(self._shards)):
            shard = self._shards[(self._first_shard + offset) % len(self._shards)]
            free = places - sum(lease.places for lease in self._unread)
            if free <= 0 or drain or any(lease.alone for lease in self._unread):
                break
            drain = self._claim_leases(shard, models, free, idle and not self._unread, drain_time)
        filled = sum(lease.places for lease in self._unread) >= places
        more = filled or drain or any(lease.alone for lease in self._unread)
        return Claimed(self._read_claims(), drain, more)

    def report(self, reports: Sequence[tuple[Claim, Progress | None]]) -> set[str]:
        """Tell how far jobs are, and learn which to drop at once: cancelled, expired, or another worker's."""
        dropped: set[str] = set()
        for shard, group in self._by_shard(reports, lambda report: report[0].job.id):
            words: list[str | int | bytes] = []
            for claim, progress in group:
                told = progress or Progress(0, 0)
                picture = b"" if told.preview is None else told.preview.data
                words += [claim.job.id, claim.token, told.step, told.steps, picture]
            states = self._run("report", shard, *words)
            telemetry.count_lease_lost(states.count(LOST))
            dropped |= {
                claim.job.id for (claim, _), state in zip(group, states, strict=True) if state != HELD
            }
        return dropped

    def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        """Extend the leases; answers the claims that are still this worker's."""
        owned: list[Claim] = []
        for shard, group in self._by_shard(claims, lambda claim: claim.job.id):
            pairs = [word for claim in group for word in (claim.job.id, claim.token)]
            states = self._run("renew", shard, self._lease_ms, *pairs)
            telemetry.count_lease_lost(states.count(LOST))
            owned += [claim for claim, state in zip(group, states, strict=True) if state == HELD]
        return owned

    def finish(self, claim: Claim, result: Result) -> bool:
        """Make the result visible; False, and nothing written, where the job is no longer this worker's."""
        fields = encode_result(result)
        words = (word for pair in fields.items() for word in pair)
        accepted = bool(self._run("finish", Shard.of(claim.job.id), claim.job.id, claim.token, *words))
        if not accepted:
            telemetry.count_superseded_result()
        return accepted

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """End the job with an error; False where it is no longer this worker's."""
        job_id = claim.job.id
        return bool(self._run("fail", Shard.of(job_id), job_id, claim.token, failure.code, failure.detail))

    def release(self, claim: Claim, *, counted: bool = False) -> bool:
        """Give the job back in good order: it keeps its place, and the attempt does not count unless `counted`."""
        job_id = claim.job.id
        released, dead = self._run(
            "release", Shard.of(job_id), job_id, claim.token, int(counted), MOST_ATTEMPTS
        )
        telemetry.count_job(Status.DEAD_LETTERED, dead)
        return bool(released)

    def reclaim(self) -> int:
        """Take expired leases back, the third time to the dead letters; end what is past its deadline.

        Answers how many jobs were moved. `keep_up` does this by itself, now and then.
        """
        moved = 0
        for shard in self._shards:
            while any(batch := self._run("reclaim", shard, MOST_ATTEMPTS, UPKEEP_BATCH)):
                requeued, dead_lettered, expired = batch
                telemetry.count_redelivery(requeued)
                telemetry.count_job(Status.DEAD_LETTERED, dead_lettered)
                telemetry.count_job(Status.EXPIRED, expired)
                moved += sum(batch)
        return moved

    def close(self) -> None:
        """Leave: the edges know at once. Claims not given back are reclaimed when their leases end."""
        try:
            if self._refresh_at < inf:
                for shard in self._shards:
                    self._run("register", shard, self._worker.worker_id, 0, b"", 0, 0, 0, 0)
        finally:
            if self._listener is not None:
                self._listener.stop()
            self._redis.close()

    @property
    def _lease_ms(self) -> int:
        return int(self._settings.lease * 1000)

    def _run(self, script: str, shard: Shard, *arguments: Any) -> Any:
        with queue_errors(script):
            return self._scripts[script](keys=shard.script_keys, args=arguments)

    def _by_shard(self, items: Iterable[Any], job_id: Callable[[Any], str]) -> list[tuple[Shard, list[Any]]]:
        groups: defaultdict[Shard, list[Any]] = defaultdict(list)
        for item in items:
            groups[Shard.of(job_id(item))].append(item)
        return list(groups.items())

    def _claim_leases(
        self, shard: Shard, models: Sequence[str], places: int, idle: bool, drain_time: float
    ) -> bool:
        """Note the leases that the script gives; answers whether to drain."""
        expired, drain, leased = self._run(
            "claim",
            shard,
            *(self._worker.worker_id, self._nonces[shard], places, int(idle), int(drain_time * 1000)),
            *(self._lease_ms, UPKEEP_BATCH, *models),
        )
        self._nonces[shard] = secrets.token_hex(8)
        telemetry.count_job(Status.EXPIRED, expired)
        self._unread += [_Lease(name.decode(), *numbers) for name, *numbers in leased]
        return bool(drain)

    def _read_claims(self) -> tuple[Claim, ...]:
        """The jobs of the leases. They are kept for the next call where the server falls silent in between."""
        if not self._unread:
            return ()
        with queue_errors("claim"), self._redis.pipeline(transaction=False) as pipeline:
            for lease in self._unread:
                shard = Shard.of(lease.job_id)
                pipeline.hmget(shard.key("job", lease.job_id), *JOB_FIELDS)
                pipeline.get(shard.key("image", lease.job_id))
                pipeline.get(shard.key("mask", lease.job_id))
            pipeline.time()
            *stored, (seconds, microseconds) = pipeline.execute()
        leases, self._unread = self._unread, []
        now = seconds + microseconds / 1e6
        read = (
            self._read(lease, stored[3 * index : 3 * index + 3], now) for index, lease in enumerate(leases)
        )
        return tuple(claim for claim in read if claim is not None)

    def _read(self, lease: _Lease, stored: Sequence[Any], now: float) -> Claim | None:
        """The claim, or None where the job can't be run: cancelled since, or written by another version."""
        fields, image, mask = stored
        if image is None or mask is None:
            return None
        try:
            job = decode_job(lease.job_id, fields, image, mask)
        except ValueError as error:
            detail = f"This worker can't read the job ({error}). Run edges and workers of the same version."
            failed = self._run("fail", Shard.of(lease.job_id), lease.job_id, lease.token, "internal", detail)
            telemetry.count_job(Status.FAILED, failed)
            return None
        return Claim(
            job=job,
            token=lease.token,
            attempt=lease.attempt,
            queued_seconds=lease.waited / 1000,
            remaining=job.deadline - now,
            alone=lease.alone,
        )

"""The queue as workers use it: claim, renew, finish, give back; and the upkeep that each does for all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from secrets import SystemRandom
from typing import Any

import redis
import redis.client

from service import telemetry
from service.contracts import Failure, Job, Result, Status, WorkerRegistration
from service.queue.connection import connect, queue_errors
from service.queue.keys import Shard
from service.queue.scripts import load_script
from service.queue.wire import decode_job, encode_models, encode_result
from service.settings import Settings

POLL = 1.0  # seconds; what a lost wake message costs at most
MOST_ATTEMPTS = 3
UPKEEP_BATCH = 100  # jobs a script call, so that none holds the server for long
TRANSITIONS = ("register", "claim", "renew", "finish", "fail", "release", "reclaim")


@dataclass(frozen=True, slots=True)
class Claim:
    """A job leased to this worker; `token` fences what it writes. `attempt` counts from 1."""

    job: Job
    token: int
    attempt: int
    queued_seconds: float


class QueueConsumer:
    """Synchronous access to the queue for one worker. Every method raises QueueUnavailable in an outage.

    `claim` belongs to one thread; everything else may be called from any.
    """

    def __init__(self, url: str, settings: Settings, worker: WorkerRegistration) -> None:
        self._settings = settings
        self._worker = worker
        self._redis = connect(url)
        self._shard = Shard()
        self._scripts = {name: self._redis.register_script(load_script(name)) for name in TRANSITIONS}
        self._subscription: redis.client.PubSub | None = None
        self._channels: frozenset[str] = frozenset()
        self._refresh_at = inf
        self._reclaim_at = 0.0

    def register(self) -> None:
        """Tell the edges that this worker serves its models; `claim` and `renew` keep it told."""
        self._refresh_at = time.monotonic() + self._settings.renew_every
        lifetime = int(self._settings.lease * 1000)
        self._run(
            "register", self._worker.worker_id, lifetime, encode_models(self._worker), self._worker.places
        )

    def claim(self, models: Sequence[str], limit: int, wait: float) -> list[Claim]:
        """Up to `limit` jobs of these models, in fair order; blocks up to `wait` seconds for the first."""
        until = time.monotonic() + wait
        while True:
            self._keep_up()
            claims = self._claim_ready(models, limit)
            remaining = until - time.monotonic()
            if claims or remaining <= 0:
                return claims
            self._await_wake(models, min(remaining, POLL))

    def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        """Extend the leases; answers the claims that are still this worker's."""
        self._keep_up()
        if not claims:
            return []
        pairs = [word for claim in claims for word in (claim.job.id, claim.token)]
        kept = self._run("renew", self._lease_ms, *pairs)
        return [claim for claim, owned in zip(claims, kept, strict=True) if owned]

    def cancelled(self, claims: Sequence[Claim]) -> set[str]:
        """Ids of the jobs to drop at once: cancelled, expired, or another worker's by now. One round trip."""
        with queue_errors("cancelled"), self._redis.pipeline(transaction=False) as pipeline:
            for claim in claims:
                pipeline.hmget(self._shard.key("job", claim.job.id), "status", "token")
            states = pipeline.execute()
        return {
            claim.job.id
            for claim, state in zip(claims, states, strict=True)
            if state != [Status.RUNNING.encode(), b"%d" % claim.token]
        }

    def finish(self, claim: Claim, result: Result) -> bool:
        """Make the result visible; False, and nothing written, where the job is no longer this worker's."""
        fields = encode_result(result)
        return bool(
            self._run(
                "finish", claim.job.id, claim.token, *(word for pair in fields.items() for word in pair)
            )
        )

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """End the job with an error; False where it is no longer this worker's."""
        return bool(self._run("fail", claim.job.id, claim.token, failure.code, failure.detail))

    def release(self, claim: Claim) -> bool:
        """Give the job back in good order: it keeps its place and the attempt does not count."""
        return bool(self._run("release", claim.job.id, claim.token))

    def reclaim(self) -> int:
        """Take expired leases back, the third time to the dead letters; end what is past its deadline.

        Answers how many jobs were moved. `claim` and `renew` do this by themselves, now and then.
        """
        moved = 0
        while any(batch := self._run("reclaim", MOST_ATTEMPTS, UPKEEP_BATCH)):
            _, dead_lettered, expired = batch
            telemetry.count_job(Status.DEAD_LETTERED, dead_lettered)
            telemetry.count_job(Status.EXPIRED, expired)
            moved += sum(batch)
        return moved

    def close(self) -> None:
        """Leave: the edges know at once. Claims not given back are reclaimed when their leases end."""
        try:
            if self._refresh_at < inf:
                self._run("register", self._worker.worker_id, 0, b"", 0)
        finally:
            if self._subscription is not None:
                self._subscription.close()
            self._redis.close()

    @property
    def _lease_ms(self) -> int:
        return int(self._settings.lease * 1000)

    def _run(self, script: str, *arguments: str | bytes | int) -> Any:
        with queue_errors(script):
            return self._scripts[script](keys=self._shard.script_keys, args=arguments)

    def _keep_up(self) -> None:
        if time.monotonic() >= self._refresh_at:
            self.register()
        if time.monotonic() >= self._reclaim_at:
            # Jittered, so that the workers of a large pool take turns.
            self._reclaim_at = time.monotonic() + self._settings.lease / 3 * SystemRandom().uniform(0.5, 1.5)
            self.reclaim()

    def _claim_ready(self, models: Sequence[str], limit: int) -> list[Claim]:
        worker = self._worker.worker_id
        expired, leased = self._run("claim", worker, limit, self._lease_ms, UPKEEP_BATCH, *models)
        telemetry.count_job(Status.EXPIRED, expired)
        if not leased:
            return []
        with queue_errors("claim"), self._redis.pipeline(transaction=False) as pipeline:
            for job_id, *_ in leased:
                name = job_id.decode()
                pipeline.hmget(self._shard.key("job", name), "client", "params", "deadline")
                pipeline.get(self._shard.key("image", name))
                pipeline.get(self._shard.key("mask", name))
            stored = pipeline.execute()
        read = (self._read(lease, stored[3 * index : 3 * index + 3]) for index, lease in enumerate(leased))
        return [claim for claim in read if claim is not None]

    def _read(self, lease: Sequence[Any], stored: Sequence[Any]) -> Claim | None:
        """The claim, or None where the job can't be run: cancelled since, or written by another version."""
        job_id, token, attempt, waited = lease
        fields, image, mask = stored
        if image is None or mask is None:
            return None
        try:
            job = decode_job(job_id.decode(), fields, image, mask)
        except ValueError as error:
            detail = f"This worker can't read the job ({error}). Run edges and workers of the same version."
            self._run("fail", job_id, token, "internal", detail)
            return None
        return Claim(job=job, token=token, attempt=attempt, queued_seconds=waited / 1000)

    def _await_wake(self, models: Sequence[str], timeout: float) -> None:
        channels = frozenset(self._shard.wake(model) for model in models)
        with queue_errors("wake"):
            if self._subscription is None or channels != self._channels:
                # The confirmation ends the wait below, and the caller looks again: nothing falls in between.
                self._subscription = self._subscribe(channels)
            if self._subscription.get_message(timeout=timeout) is not None:
                while self._subscription.get_message(timeout=0) is not None:
                    pass  # further wakes, for what the caller's next look will find

    def _subscribe(self, channels: frozenset[str]) -> redis.client.PubSub:
        if self._subscription is not None:
            self._subscription.close()
        subscription = redis.client.PubSub(self._redis.connection_pool, ignore_subscribe_messages=True)
        subscription.subscribe(*channels)
        self._channels = channels
        return subscription

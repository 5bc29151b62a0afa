"""The VAE beside the step loop: who goes on while it works, who waits, and what is kept when it fails or hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from service.contracts import Job, Status
from service.engine.base import DeviceOutOfMemory
from service.errors import InternalError, JobCancelled, JobExpired
from service.queue.client import QueueClient
from service.queue.consumer import MOST_ATTEMPTS, QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from service.worker.registration import registration_of
from tests.faults.polling import until
from tests.integration.worker.gated_engine import PATIENCE, GatedEngine, is_magenta
from tests.integration.worker.running_worker import (
    CLIENT,
    QUICK,
    RunningWorker,
    step_until,
    until_reports,
    until_status,
)
from tests.integration.worker.test_batching import two_holes
from tests.integration.worker.test_isolation import POISON

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


class Barrier:
    """A fault that holds the calls with a magenta picture until it is `lifted`, and counts the items that passed."""

    def __init__(self, lifted: threading.Event) -> None:
        self.reached = threading.Event()
        self.lifted = lifted
        self.passed = 0

    def __call__(self, items: Sequence[Any]) -> None:
        if any(map(is_magenta, items)):
            self.reached.set()
            assert self.lifted.wait(PATIENCE)
        self.passed += len(items)


@pytest.fixture
def lifted(start_worker: StartWorker) -> Iterator[threading.Event]:
    """It is set at the test's end at last, before the workers are ended."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def barrier(lifted: threading.Event) -> Barrier:
    return Barrier(lifted)


@pytest.fixture
def start_held(start_worker: StartWorker, barrier: Barrier) -> StartWorker:
    """Starts a worker whose VAE is held in the call that is named."""

    def start(call: str, **changes: Any) -> RunningWorker:
        running = start_worker(**{"overlap": "on", **changes})
        running.engine.faults[call] = barrier
        return running

    return start


async def run_together(running: RunningWorker, client: QueueClient, *jobs: Job) -> None:
    """Submit the jobs, and return when all are in the batch; the gate is shut then, and each needs some more steps."""
    running.engine.gate.clear()
    for job in jobs:
        await client.submit(job)
    await until(running.engine.stepping.is_set)
    await step_until(running, lambda: running.engine.batches[-1] == len(jobs))


class TestBesideSteps:
    async def test_a_neighbour_takes_all_its_steps_while_a_finished_picture_is_decoded(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode")
        finished, neighbour = new_job(image=POISON, steps=20), new_job(steps=40)
        await run_together(running, client, finished, neighbour)
        running.engine.gate.set()
        await until(lambda: sum(running.engine.batches) == 60)
        assert barrier.reached.wait(PATIENCE)
        assert barrier.passed == 0
        barrier.lifted.set()
        for job in (finished, neighbour):
            assert (await client.wait(job.id, CLIENT)).pictures

    async def test_a_newcomer_joins_when_it_is_encoded_and_the_batch_does_not_wait_for_it(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("encode")
        running.engine.gate.clear()
        first, newcomer = new_job(steps=60), new_job(image=POISON, steps=5)
        await client.submit(first)
        await until(running.engine.stepping.is_set)
        await client.submit(newcomer)
        await step_until(running, barrier.reached.is_set)
        steps = running.engine.steps
        await step_until(running, lambda: running.engine.steps > steps + 5)
        assert set(running.engine.batches) == {1}
        barrier.lifted.set()
        await step_until(running, lambda: running.engine.batches[-1] == 2)
        running.engine.gate.set()
        for job in (first, newcomer):
            assert (await client.wait(job.id, CLIENT)).pictures
        assert running.engine.steps == 60, "the newcomer's steps were all taken together with others"

    async def test_a_picture_has_the_same_bytes_as_without_it(
        self, client: QueueClient, new_job: NewJob, start_worker: StartWorker
    ) -> None:
        def jobs() -> list[Job]:
            return [new_job(seed=seed, steps=3 + seed, strength=0.4 + seed / 10) for seed in range(7)]

        pictures = []
        for overlap in ("off", "on"):
            running = start_worker(overlap=overlap, max_batch=3)
            submitted = jobs()
            for job in submitted:
                await client.submit(job)
            pictures.append([(await client.wait(job.id, CLIENT)).pictures for job in submitted])
            running.end(drain=True)
        assert pictures[0] == pictures[1]

    async def test_a_whole_request_waits_until_all_its_crops_are_encoded(
        self, client: QueueClient, new_job: NewJob, start_worker: StartWorker, lifted: threading.Event
    ) -> None:
        running = start_worker(overlap="on", batching="request")

        def hold_the_second(_tiles: Sequence[Any]) -> None:
            assert len(running.engine.encoded) == 1 or lifted.wait(PATIENCE)

        running.engine.faults["encode"] = hold_the_second
        job = new_job(steps=4, **two_holes())
        await client.submit(job)
        await until(lambda: len(running.engine.encoded) == 2)
        await until_reports(running, 5)
        assert running.engine.steps == 0
        lifted.set()
        assert (await client.wait(job.id, CLIENT)).pictures
        assert running.engine.batches == [2] * 4

    async def test_what_the_decoder_can_t_keep_up_with_waits_for_it_and_in_the_queue(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode", max_batch=2)
        big, small = new_job(image=POISON, n=10, steps=1), new_job(steps=1)
        await client.submit(big)
        await until(lambda: sum(running.engine.batches) == 4)
        await client.submit(small)
        await until_reports(running, 5)
        assert sum(running.engine.batches) == 4, "one batch is decoded, and one waits for that"
        assert running.held == (big.id,)
        barrier.lifted.set()
        for job in (big, small):
            assert (await client.wait(job.id, CLIENT)).pictures


class TestInsteadOfSteps:
    async def test_a_neighbour_waits_for_a_decode_and_then_goes_on(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode", overlap="off")
        finished, neighbour = new_job(image=POISON, steps=20), new_job(steps=40)
        await run_together(running, client, finished, neighbour)
        await step_until(running, barrier.reached.is_set)
        running.engine.gate.set()
        steps = running.engine.steps
        await until_reports(running, 5)
        assert running.engine.steps == steps
        barrier.lifted.set()
        for job in (finished, neighbour):
            assert (await client.wait(job.id, CLIENT)).pictures

    async def test_a_deadline_is_seen_while_the_vae_works(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode", overlap="off", renew_every=PATIENCE)
        kept, late = new_job(image=POISON, steps=1), new_job(steps=100, timeout=3.0)
        await client.submit(kept)
        await until(barrier.reached.is_set)
        await client.submit(late)
        await until(lambda: late.id in running.held)
        running.consumer.report_fault = ValueError("the worker is told nothing")
        with pytest.raises(JobExpired):
            await client.wait(late.id, CLIENT)
        await until(lambda: running.held == (kept.id,))
        running.consumer.report_fault = None
        barrier.lifted.set()
        assert (await client.wait(kept.id, CLIENT)).pictures
        assert running.engine.steps == 1


class TestFaults:
    @pytest.mark.parametrize("call", ["encode", "decode"])
    async def test_what_fails_in_the_vae_fails_alone_while_its_neighbour_steps(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier, call: str
    ) -> None:
        calls: list[int] = []

        def fail_in_the_end(items: Sequence[Any]) -> None:
            barrier(items)
            if any(map(is_magenta, items)):
                calls.append(len(items))
                raise RuntimeError("poison")

        running = start_held(call)
        running.engine.faults[call] = fail_in_the_end
        neighbour, poisoned = new_job(steps=40), new_job(image=POISON, steps=2)
        running.engine.gate.clear()
        await client.submit(neighbour)
        await until(running.engine.stepping.is_set)
        await client.submit(poisoned)
        await step_until(running, barrier.reached.is_set)
        running.engine.gate.set()
        barrier.lifted.set()
        with pytest.raises(InternalError, match="by a fault of ours"):
            await client.wait(poisoned.id, CLIENT)
        assert (await client.wait(neighbour.id, CLIENT)).pictures
        assert calls == [1, 1], "it was tried once more"

    async def test_a_decode_that_hangs_loses_all_jobs_though_steps_go_on_and_then_its_process(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, start_worker: StartWorker
    ) -> None:
        hung = start_held("decode", lease=0.5, renew_every=0.1)
        stuck, neighbour = new_job(image=POISON, steps=1), new_job(steps=100)
        hung.engine.gate.clear()
        await client.submit(neighbour)
        await until(hung.engine.stepping.is_set)
        await client.submit(stuck)
        await step_until(hung, lambda: not hung.worker.pulse.keeps_leases)
        renewals = hung.consumer.renewals
        await step_until(hung, hung.hung.is_set)
        assert not hung.worker.alive
        assert hung.consumer.renewals <= renewals + 1, "one may have been on its way"
        start_worker()
        for job in (stuck, neighbour):
            assert (await client.wait(job.id, CLIENT)).pictures
            assert (await client.status(job.id, CLIENT)).attempt == 2

    @pytest.mark.parametrize("call", ["encode", "decode"])
    async def test_memory_that_is_short_beside_a_step_suffices_for_one_after_the_other(
        self, client: QueueClient, new_job: NewJob, start_worker: StartWorker, call: str
    ) -> None:
        running = start_worker(overlap="on")

        def no_room_beside_a_step(items: Sequence[Any]) -> None:
            if any(map(is_magenta, items)) and running.worker.device.overlaps:
                assert running.engine.in_step.wait(PATIENCE)
                raise DeviceOutOfMemory("no room beside a step")

        running.engine.faults[call] = no_room_beside_a_step
        running.engine.gate.clear()
        neighbour, squeezed = new_job(steps=60), new_job(image=POISON, steps=2)
        await client.submit(neighbour)
        await until(running.engine.stepping.is_set)
        await client.submit(squeezed)
        await step_until(running, lambda: not running.worker.device.overlaps)
        running.engine.gate.set()
        for job in (neighbour, squeezed):
            assert (await client.wait(job.id, CLIENT)).pictures
        assert running.worker.device.cap == 8

    async def test_a_step_without_room_beside_the_vae_waits_for_it(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode")

        def no_room_beside_the_vae(_states: Sequence[Any]) -> None:
            if barrier.reached.is_set() and not barrier.lifted.is_set():
                raise DeviceOutOfMemory("no room beside the decoder")

        running.engine.faults["step"] = no_room_beside_the_vae
        decoding, stepping = new_job(image=POISON, steps=20), new_job(steps=60)
        await run_together(running, client, decoding, stepping)
        running.engine.gate.set()
        await until(lambda: not running.worker.device.overlaps)
        steps = running.engine.steps
        await until_reports(running, 5)
        assert running.engine.steps == steps, "it is not tried again and again"
        barrier.lifted.set()
        for job in (decoding, stepping):
            assert (await client.wait(job.id, CLIENT)).pictures
        assert running.worker.device.cap == 8


class TestEndings:
    async def test_a_job_cancelled_before_its_decode_began_is_never_decoded(
        self,
        client: QueueClient,
        new_job: NewJob,
        start_held: StartWorker,
        barrier: Barrier,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO", "service.worker.turns")
        running = start_held("decode")
        decoding, cancelled, later = new_job(image=POISON, steps=20), new_job(steps=40), new_job()
        await run_together(running, client, decoding, cancelled)
        running.engine.gate.set()
        await until(lambda: sum(running.engine.batches) == 60)
        await client.cancel(cancelled.id, CLIENT)
        await until(lambda: running.held == (decoding.id,))
        caplog.clear()
        await client.submit(later)
        await until(lambda: caplog.records)  # the loop has taken it in, so it knows of the cancel
        barrier.lifted.set()
        for job in (decoding, later):
            assert (await client.wait(job.id, CLIENT)).pictures
        with pytest.raises(JobCancelled):
            await client.wait(cancelled.id, CLIENT)
        assert barrier.passed == 2

    async def test_a_worker_told_to_stop_decodes_what_it_holds(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode")
        job = new_job(image=POISON, steps=1)
        await client.submit(job)
        await until(barrier.reached.is_set)
        running.worker.stop()
        await until(lambda: not running.worker.ready)
        barrier.lifted.set()
        running.thread.join(PATIENCE)
        assert (await client.wait(job.id, CLIENT)).pictures
        assert (await client.status(job.id, CLIENT)).attempt == 1

    async def test_a_worker_told_to_stop_at_once_gives_back_what_is_being_decoded(
        self, client: QueueClient, new_job: NewJob, start_held: StartWorker, barrier: Barrier
    ) -> None:
        running = start_held("decode")
        job = new_job(image=POISON, steps=1)
        await client.submit(job)
        await until(barrier.reached.is_set)
        running.worker.stop(drain=False)
        await until_status(client, job, Status.QUEUED)
        running.thread.join(1.0)
        assert running.thread.is_alive(), "the call must come back before the engine is closed"
        barrier.lifted.set()
        running.thread.join(PATIENCE)
        assert not running.thread.is_alive()

    async def test_a_last_attempt_has_no_neighbour_in_the_vae_either(
        self,
        client: QueueClient,
        new_job: NewJob,
        start_held: StartWorker,
        barrier: Barrier,
        queue_url: str,
        settings: Settings,
    ) -> None:
        suspect, cancelled = new_job(steps=3), new_job(image=POISON, steps=1)
        await client.submit(suspect)
        by_hand = QueueConsumer(queue_url, settings, registration_of(settings, GatedEngine(settings), QUICK))
        claims = [by_hand.claim([settings.model], places=8, idle=True).claims[0]]
        by_hand.release(claims[-1], counted=True)
        claims += by_hand.claim([settings.model], places=8, idle=True).claims
        assert len(claims) == MOST_ATTEMPTS - 1
        running = start_held("decode")
        await client.submit(cancelled)
        await until(barrier.reached.is_set)
        await client.cancel(cancelled.id, CLIENT)
        await until(lambda: not running.held)
        by_hand.release(claims[-1], counted=True)
        by_hand.close()
        with redis.Redis.from_url(queue_url) as connection:
            await until(lambda: connection.hget(Shard().key("job", suspect.id), "drainer") or running.held)
        assert not running.held, "what is left of a cancelled job is still in the VAE"
        barrier.lifted.set()
        assert (await client.wait(suspect.id, CLIENT)).pictures
        assert running.engine.batches == [1] * 4

"""Jobs by their handles, progress on the way, and what becomes of the work when its client leaves."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from moebius_client import (
    AsyncClient,
    Client,
    InvalidRequest,
    JobCancelled,
    JobEvent,
    JobExpired,
    JobNotFinished,
    JobNotFound,
    Retry,
)
from service.contracts import Preview, Progress
from service.edge.server import Addresses
from tests.integration.client.either import KINDS, Kind, inpaint
from tests.integration.client.faulty_proxy import answered_after, faulty_proxy
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import JPEG, MASK, PHOTO


class EnoughError(Exception):
    """Whoever waited has changed their mind."""


def test_a_job_goes_on_without_its_client(server: str) -> None:
    with Client(server) as client:
        kept = client.submit(PHOTO, MASK, seed=3).id
    with Client(server) as later:
        job = later.job(kept)
        result = job.wait()
        assert (result.seed, result.job_id) == (3, kept)
        status = job.status()
        assert (status.status, status.ended, status.failure, status.attempt) == ("succeeded", True, None, 1)
        assert status.created < status.deadline


async def test_the_same_with_asyncio(server: str) -> None:
    async with AsyncClient(server) as client:
        kept = (await client.submit(PHOTO, MASK, seed=3)).id
    async with AsyncClient(server) as later:
        job = later.job(kept)
        assert (await job.wait()).seed == 3
        assert (await job.status()).ended


@pytest.mark.parametrize("kind", KINDS)
def test_progress_is_told_from_the_queue_to_the_end(kind: Kind, server: str, worker: FlatWorker) -> None:
    seen: list[JobEvent] = []

    def progress(event: JobEvent) -> None:
        seen.append(event)
        if event.kind == "running":
            worker.progress = Progress(step=5, steps=20, preview=Preview(JPEG))
        elif event.kind == "progress":
            worker.hold.clear()

    with worker.held():
        inpaint(kind, server, preview=1, progress=progress)
    assert (seen[0].kind, seen[-1].kind) == ("queued", "succeeded")
    (step,) = [event for event in seen if event.kind == "progress"]
    assert (step.step, step.steps, step.fraction, step.attempt) == (5, 20, 0.25, 1)
    assert step.preview is not None
    assert (step.preview.data, step.preview.content_type, step.preview.candidate) == (JPEG, "image/jpeg", 0)
    assert step.preview.image.format == "JPEG"
    assert seen[-1].fraction == 1
    assert seen[-1].terminal


async def test_progress_may_be_a_coroutine_function(server: str) -> None:
    seen: list[str] = []

    async def progress(event: JobEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.kind)

    async with AsyncClient(server) as client:
        await client.inpaint(PHOTO, MASK, progress=progress)
    assert seen[-1] == "succeeded"


def test_a_job_is_cancelled_and_says_so(server: str, worker: FlatWorker) -> None:
    with worker.held(), Client(server) as client:
        job = client.submit(PHOTO, MASK)
        with pytest.raises(JobNotFinished):
            job.result()
        assert job.cancel().status == "cancelled"
        assert job.cancel().status == "cancelled"  # harmless when repeated
        with pytest.raises(JobCancelled) as end:
            job.wait()
        assert (end.value.code, end.value.status) == ("job_cancelled", 409)
        last = list(job.events())[-1]
        assert last.failure is not None
        assert last.failure.code == "job_cancelled"


def test_a_job_that_takes_too_long_says_so(server: str, worker: FlatWorker) -> None:
    with (
        worker.held(),
        Client(server, timeout=0.2, retry=Retry(attempts=1)) as client,
        pytest.raises(JobExpired),
    ):
        client.inpaint(PHOTO, MASK)


def test_an_unknown_job_is_not_found(server: str) -> None:
    with Client(server) as client:
        for ask in (
            client.job("nobodys").status,
            client.job("nobodys").result,
            client.job("nobodys").cancel,
            lambda: list(client.job("nobodys").events()),
        ):
            with pytest.raises(JobNotFound):
                ask()


def test_the_same_key_is_the_same_job(server: str) -> None:
    with Client(server) as client:
        first = client.submit(PHOTO, MASK, idempotency_key=f"order-{server}")
        again = client.submit(PHOTO, MASK, idempotency_key=f"order-{server}")
        assert first.id == again.id
        first.wait()


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_before_the_end_cancels_the_work(kind: Kind, server: str, worker: FlatWorker) -> None:
    def progress(event: JobEvent) -> None:
        if event.kind == "running":
            raise EnoughError

    dropped = len(worker.dropped)
    with worker.held():
        with pytest.raises(EnoughError):
            inpaint(kind, server, progress=progress)
        until(lambda: len(worker.dropped) == dropped + 1)


def test_leaving_before_the_job_is_known_cancels_it(addresses: Addresses, worker: FlatWorker) -> None:
    gate = threading.Event()
    claimed, dropped = len(worker.claims), len(worker.dropped)
    with faulty_proxy(addresses.http) as proxy, worker.held(), interrupted_by(signal.SIGUSR1):
        proxy.plan("POST", "/jobs", answered_after(gate))

        def leave() -> None:
            until(lambda: len(worker.claims) > claimed)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            gate.set()

        leaving = threading.Thread(target=leave)
        leaving.start()
        with pytest.raises(EnoughError):
            inpaint("sync", proxy.url)
        leaving.join()
        until(lambda: len(worker.dropped) == dropped + 1)


async def test_being_cancelled_before_the_job_is_known_cancels_it(
    addresses: Addresses, worker: FlatWorker
) -> None:
    gate = threading.Event()
    claimed, dropped = len(worker.claims), len(worker.dropped)
    with faulty_proxy(addresses.http) as proxy, worker.held():
        proxy.plan("POST", "/jobs", answered_after(gate))
        async with AsyncClient(proxy.url) as client:
            call = asyncio.create_task(client.inpaint(PHOTO, MASK))
            await asyncio.to_thread(until, lambda: len(worker.claims) > claimed)
            call.cancel()
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await call
        await asyncio.to_thread(until, lambda: len(worker.dropped) == dropped + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_job_is_not_taken_back(kind: Kind, addresses: Addresses) -> None:
    with faulty_proxy(addresses.http) as proxy:
        with pytest.raises(InvalidRequest):
            inpaint(kind, proxy.url, steps=0)
        assert [seen.method for seen in proxy.seen] == ["POST"]


@contextmanager
def interrupted_by(number: signal.Signals) -> Iterator[None]:
    """The signal ends what the main thread does, as Ctrl-C would."""

    def end(*_: object) -> None:
        raise EnoughError

    before = signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)


async def test_being_cancelled_cancels_the_work(server: str, worker: FlatWorker) -> None:
    running = asyncio.Event()
    dropped = len(worker.dropped)
    with worker.held():
        async with AsyncClient(server) as client:
            call = asyncio.create_task(client.inpaint(PHOTO, MASK, progress=lambda _: running.set()))
            await running.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(until, lambda: len(worker.dropped) == dropped + 1)

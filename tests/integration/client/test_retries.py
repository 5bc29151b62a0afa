"""What a client does where the service is busy, away, or can't be heard for a moment."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from moebius_client import (
    Client,
    ConnectionFailed,
    InvalidPicture,
    JobEvent,
    JobNotFound,
    Overloaded,
    Retry,
    ServiceError,
    Unavailable,
)
from service.contracts import Progress
from service.edge.server import Addresses
from tests.integration.client.either import KINDS, QUICK, Kind, inpaint
from tests.integration.client.faulty_proxy import (
    FaultyProxy,
    answer_lost,
    cut_after,
    dropped,
    faulty_proxy,
    refused,
)
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.pictures import MASK, PHOTO, decode, encode, mask

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def proxy(addresses: Addresses) -> Iterator[FaultyProxy]:
    with faulty_proxy(addresses.http) as between:
        yield between


def test_what_is_refused_for_now_is_sent_again(kind: Kind, proxy: FaultyProxy) -> None:
    proxy.plan("POST", "/jobs", refused(429, retry_after=0), refused(503), refused(502), dropped)
    proxy.plan("GET", "/events", refused(503))
    proxy.plan("GET", "/result", refused(503, retry_after=0), dropped)
    assert decode(inpaint(kind, proxy.url, retry=QUICK).data).size == decode(PHOTO).size
    assert len(proxy.came("POST", "/jobs")) == 5
    assert len(proxy.came("GET", "/result")) == 3


def test_a_job_whose_answer_was_lost_is_not_done_twice(
    kind: Kind, proxy: FaultyProxy, worker: FlatWorker
) -> None:
    claimed = len(worker.claims)
    proxy.plan("POST", "/jobs", answer_lost)
    inpaint(kind, proxy.url, retry=QUICK)
    assert len(worker.claims) == claimed + 1
    keys = {seen.headers["Idempotency-Key"] for seen in proxy.came("POST", "/jobs")}
    assert len(keys) == 1


def test_each_call_has_a_key_of_its_own(kind: Kind, proxy: FaultyProxy, worker: FlatWorker) -> None:
    claimed = len(worker.claims)
    inpaint(kind, proxy.url)
    inpaint(kind, proxy.url)
    assert len(worker.claims) == claimed + 2


def test_a_watch_that_is_cut_goes_on_after_the_last_event(
    kind: Kind, proxy: FaultyProxy, worker: FlatWorker
) -> None:
    """Each event is told once, whatever connection it came over."""
    seen: list[JobEvent] = []

    def progress(event: JobEvent) -> None:
        seen.append(event)
        if event.kind == "running":
            worker.progress = Progress(step=1, steps=2)
        elif event.kind == "progress":
            worker.hold.clear()

    proxy.plan("GET", "/events", cut_after(1), cut_after(1), dropped, cut_after(1))
    with worker.held():
        inpaint(kind, proxy.url, retry=QUICK, progress=progress)
    kept = [event for event in seen if event.id]
    assert len({event.id for event in kept}) == len(kept)
    assert [event.kind for event in seen if event.kind != "queued"] == ["running", "progress", "succeeded"]
    watches = proxy.came("GET", "/events")
    assert "Last-Event-ID" not in watches[0].headers
    assert watches[-1].headers["Last-Event-ID"] in {event.id for event in kept}


def lost(code: str) -> bytes:
    """What a service says that knows nothing of a job any more."""
    return json.dumps({"code": code, "detail": "It is lost.", "status": 404}).encode()


@pytest.mark.parametrize("code", ["job_not_found", "queue_lost"])
def test_a_job_that_the_service_has_lost_is_sent_once_more(kind: Kind, proxy: FaultyProxy, code: str) -> None:
    proxy.plan("GET", "/events", refused(404, body=lost(code)))
    assert decode(inpaint(kind, proxy.url, retry=QUICK).data).size == decode(PHOTO).size
    sent = proxy.came("POST", "/jobs")
    assert len(sent) == 2
    assert len({seen.headers["Idempotency-Key"] for seen in sent}) == 1


def test_a_job_that_is_lost_again_is_not_sent_for_ever(kind: Kind, proxy: FaultyProxy) -> None:
    proxy.plan("GET", "/events", *[refused(404, body=lost("job_not_found"))] * 2)
    with pytest.raises(JobNotFound, match="It is lost"):
        inpaint(kind, proxy.url, retry=QUICK)
    assert len(proxy.came("POST", "/jobs")) == 2


def test_what_the_client_did_wrong_is_not_sent_again(kind: Kind, proxy: FaultyProxy) -> None:
    with pytest.raises(InvalidPicture) as refusal:
        inpaint(kind, proxy.url, mask=encode(mask((96, 40))), retry=QUICK)
    assert (refusal.value.code, refusal.value.status) == ("mask_size_mismatch", 422)
    assert len(proxy.seen) == 1


def test_a_client_gives_up_after_its_last_attempt(kind: Kind, proxy: FaultyProxy) -> None:
    proxy.plan("POST", "/jobs", *[refused(503)] * 3)
    with pytest.raises(Unavailable) as refusal:
        inpaint(kind, proxy.url, retry=Retry(attempts=3, first_delay=0.01))
    assert refusal.value.code == "http_503"
    assert "Busy" in str(refusal.value)
    assert len(proxy.seen) == 3


def test_a_client_that_is_asked_to_wait_too_long_says_so_at_once(kind: Kind, proxy: FaultyProxy) -> None:
    proxy.plan("POST", "/jobs", refused(429, retry_after=7200))
    with pytest.raises(Overloaded) as refusal:
        inpaint(kind, proxy.url)
    assert refusal.value.retry_after == 7200
    assert len(proxy.seen) == 1


def test_the_services_own_retry_after_is_told(kind: Kind, server: str, worker: FlatWorker) -> None:
    with worker.held(), Client(server, retry=Retry(attempts=1)) as client:
        job = client.submit(PHOTO, MASK)
        with pytest.raises(ServiceError) as refusal:
            job.result()
        job.cancel()
    assert refusal.value.code == "job_not_finished"
    assert refusal.value.retry_after is not None
    assert 0 < refusal.value.retry_after <= 120, "seconds"


def test_nobody_at_the_address_is_told_as_such(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for scheme in ("http", "grpc"):
        with pytest.raises(ConnectionFailed, match="can't be reached"):
            inpaint(kind, f"{scheme}://127.0.0.1:{port}", retry=Retry(attempts=2, first_delay=0.01))


def test_what_is_no_service_is_told_as_such(kind: Kind, proxy: FaultyProxy) -> None:
    proxy.plan("POST", "/jobs", refused(200, body=b"<h1>Welcome</h1>"))
    with pytest.raises(ServiceError, match="Is it the address of a Moebius service"):
        inpaint(kind, proxy.url)

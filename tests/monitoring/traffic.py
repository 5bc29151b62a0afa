"""What is sent to the monitored service and done to it, so that every metric has something to tell."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx

from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from tests.integration.edge.pictures import PHOTO, encode, mask
from tests.integration.edge.requests import AS_JSON, FILES, status_of, submitted
from tests.integration.grpc.calls import inpaint_request, submit_request, upload
from tests.monitoring.prometheus_server import until
from tests.monitoring.stack import UNATTENDED, Stack

ROUTE = "/v1/inpaint"
EMPTY_MASK = encode(mask().point(lambda _: 0))
TRUNCATED = PHOTO[: len(PHOTO) // 2]
ATTEMPTS = 3  # until a job is a dead letter
MANY = 8  # jobs of four items each, more than two workers have places for


class Traffic:
    """The clients of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = httpx.Client(base_url=stack.url, timeout=60, trust_env=False)
        self._channel = grpc.insecure_channel(stack.grpc)
        self._stub: Any = InpaintServiceStub(self._channel)

    def close(self) -> None:
        """End the connections."""
        self._http.close()
        self._channel.close()

    def wave(self) -> None:
        """Requests of all kinds and with all ends, many at once, so that batches of many sizes run."""
        kinds: list[Callable[[], None]] = [self._fill, self._fill_later, self._call, self._stream]
        kinds += [self._cancel, self._fail, self._be_refused, self._look, self._fill_several]
        self._fill()
        with ThreadPoolExecutor(len(kinds) * 2) as pool:
            for sent in [pool.submit(kind) for kind in kinds * 2]:
                sent.result()

    def _fill(self) -> None:
        self._http.post(ROUTE, files=FILES, data={"steps": 12}).raise_for_status()
        self._http.post(ROUTE, files=FILES, data={"steps": 6, "priority": "batch"}).raise_for_status()

    def _fill_several(self, steps: int = 10) -> None:
        answer = self._http.post(ROUTE, files=FILES, data={"steps": steps, "n": 4}, headers=AS_JSON)
        answer.raise_for_status()

    def _fill_later(self) -> None:
        job = submitted(self._http, priority="batch", steps=8)
        until(lambda: status_of(self._http, job["id"]) == "succeeded", "the job succeeds")
        self._http.get(job["links"]["result"]).raise_for_status()

    def _call(self) -> None:
        self._stub.Inpaint(inpaint_request(params=pb.Params(steps=8)), timeout=60)

    def _stream(self) -> None:
        for _ in self._stub.InpaintStream(upload(params=pb.Params(steps=8)), timeout=60):
            pass
        self._stub.SubmitJob(submit_request(params=pb.Params(steps=4)), timeout=60)

    def _cancel(self) -> None:
        job = submitted(self._http, steps=100)
        self._http.delete(job["links"]["self"]).raise_for_status()

    def _fail(self) -> None:
        files = FILES | {"image": ("photo.png", TRUNCATED)}
        assert self._http.post(ROUTE, files=files).status_code == 422

    def _be_refused(self) -> None:
        unreachable = self._http.post(ROUTE, files=FILES, data={"steps": 100, "timeout": 0.1})
        assert unreachable.status_code == 429, unreachable.text
        files = FILES | {"mask": ("mask.png", EMPTY_MASK)}
        assert self._http.post(ROUTE, files=files).status_code == 422
        assert self._http.get("/v1/jobs/s0-" + "0" * 32).status_code == 404

    def _look(self) -> None:
        self._http.get("/v1/models").raise_for_status()
        self._http.get("/readyz").raise_for_status()

    def lose_the_queue_for_a_moment(self) -> None:
        """Kill its server, until an edge has noticed, and start it again."""
        self._stack.server.kill()
        until(lambda: not self._stack.edge_is_ready(), "the edge misses its queue")
        self._stack.server.start()
        until(self._stack.edge_is_ready, "the edge has its queue again")
        until(lambda: all(worker.ready for worker in self._stack.workers), "the workers have it, too")

    def lose_workers_at_work(self) -> None:
        """Kill the last worker, for good, and let the one before it sleep until its leases are over."""
        _, sleeper, victim = self._stack.workers
        with ThreadPoolExecutor(MANY) as pool:
            sent = [pool.submit(self._fill_several, steps=40) for _ in range(MANY)]
            until(lambda: self._stack.jobs_of(victim), "the victim has jobs at hand")
            victim.kill()
            until(lambda: self._stack.jobs_of(sleeper), "the sleeper has some, too")
            sleeper.signal(signal.SIGSTOP)
            until(lambda: not self._stack.jobs_of(sleeper), "they are put back")
            sleeper.signal(signal.SIGCONT)
            for answer in sent:
                answer.result()
        until(lambda: sleeper.metric("inpaint_lease_lost_total") > 0, "the sleeper misses its leases")

    def lose_a_job(self) -> None:
        """One job is a dead letter, one expires unseen, and one is left waiting with nobody to take it."""
        with self._stack.unattended() as consumer:
            until(lambda: UNATTENDED in self._models(), "the model is served")
            job = submitted(self._http, model=UNATTENDED)
            for attempt in range(1, ATTEMPTS + 1):
                until(lambda: consumer.claim([UNATTENDED], places=1, idle=True).claims, f"attempt {attempt}")
            until(lambda: status_of(self._http, job["id"]) == "dead_lettered", "the job is given up")
            expiring = submitted(self._http, model=UNATTENDED, timeout=0.2)
            submitted(self._http, model=UNATTENDED, priority="batch", timeout=3600)
        until(lambda: status_of(self._http, expiring["id"]) == "expired", "the job expires")

    def _models(self) -> list[str]:
        return [model["name"] for model in self._http.get("/v1/models").json()["models"]]

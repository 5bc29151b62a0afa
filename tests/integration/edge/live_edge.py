"""Parts of the tests: an edge that serves from a thread, and a worker that fills holes with one colour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from service.contracts import Failure, Params, Progress, Result, ServedModel, WorkerRegistration
from service.edge.listener import bind
from service.edge.server import Addresses, edge_server
from service.errors import InpaintError
from service.imaging import retouch
from service.imaging.effective_mask import effective_mask_file
from service.imaging.encode import EncodedPicture
from service.queue.consumer import Claim, QueueConsumer
from service.settings import Settings

MODEL_SIZE = 64
SERVED = ServedModel(
    name="moebius-nano",
    image_size=MODEL_SIZE,
    backend="dummy",
    device="cpu",
    precision="fp32",
    sha256="0" * 64,
)
FEW_STEP = replace(SERVED, name="few-step", default_steps=4, allowed_steps=(4,), guidance_scale=2.5)


class FlatWorker:
    """Answers jobs one by one, from a thread of its own, with holes of one colour. `hold` keeps it from answering;
    it tells `progress` then.
    """

    def __init__(
        self,
        queue_url: str,
        settings: Settings,
        throughput: float = 0,
        models: tuple[ServedModel, ...] = (SERVED,),
    ) -> None:
        self.settings = settings
        self.models = [model.name for model in models]
        registration = WorkerRegistration("flat", models, places=1, throughput=throughput)
        self.consumer = QueueConsumer(queue_url, settings, registration)
        self.hold = threading.Event()
        self.progress: Progress | None = None
        self.idle_turns = 0
        self.notes: tuple[str, ...] = ()
        self.claims: list[Claim] = []
        self.dropped: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FlatWorker:
        self.consumer.register()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.consumer.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """No job ends meanwhile, but by its client or its deadline. Those sent before have ended."""
        seen = self.idle_turns
        until(lambda: self.idle_turns > seen + 1)  # the first one may have begun before the last job was sent
        self.hold.set()
        try:
            yield
        finally:
            self.hold.clear()
            self.progress = None

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.consumer.keep_up()
            claims = self.consumer.claim(self.models, places=1, idle=True).claims
            for claim in claims:
                self.claims.append(claim)
                self._answer(claim)
            self.idle_turns += not claims

    def _answer(self, claim: Claim) -> None:
        told: Progress | None = None
        while self.hold.is_set() and not self._stop.wait(0.01):
            self.consumer.keep_up()
            news, told = None if self.progress == told else self.progress, self.progress
            if not self.consumer.renew([claim]) or self.consumer.report([(claim, news)]):
                self.dropped.add(claim.job.id)
                return
        try:
            self.consumer.finish(claim, self._fill(claim))
        except InpaintError as error:
            self.consumer.fail(claim, Failure(error.code, error.detail))

    def _fill(self, claim: Claim) -> Result:
        params = claim.job.params
        assert params.seed is not None
        work = retouch.prepare(
            claim.job.image,
            claim.job.mask,
            params,
            model_size=MODEL_SIZE,
            max_pixels=self.settings.max_pixels,
        )
        encoded = [self._candidate(work, params, index) for index in range(params.n)]
        return Result(
            pictures=tuple(picture.data for picture in encoded),
            content_type=encoded[0].content_type,
            seeds=tuple(params.seed + index for index in range(params.n)),
            model=params.model or "",
            boxes=work.boxes,
            stages={"queue": claim.queued_seconds, "decode": 0.001, "encode": 0.002},
            notes=(*encoded[0].notes, *self.notes),
            effective_mask=effective_mask_file(work) if params.effective_mask else None,
        )

    def _candidate(self, work: retouch.Retouch, params: Params, index: int) -> EncodedPicture:
        """The first in the tone of the photo, the others each in one of its own: no two are the same file."""
        flat = np.full((len(work.tiles), 3, MODEL_SIZE, MODEL_SIZE), index / 16, np.float32)
        own_tone = params.model_copy(update={"color_match": params.color_match and index == 0})
        return retouch.finish(work, flat, own_tone)


@contextmanager
def running_edge(queue_url: str, settings: Settings) -> Iterator[str]:
    """The base URL of an edge that serves from a thread, as `moebius edge` does from its main thread."""
    with running_servers(queue_url, settings) as addresses:
        yield addresses.http


@contextmanager
def running_servers(queue_url: str, settings: Settings) -> Iterator[Addresses]:
    """Where such an edge listens, by HTTP and by gRPC."""
    listening = threading.Event()
    found: list[Addresses] = []

    def on_ready(addresses: Addresses) -> None:
        found.append(addresses)
        listening.set()

    free_ports = settings.model_copy(update={"grpc_port": 0})
    server = edge_server(free_ports, queue_url, on_ready=on_ready)
    listener = bind(settings.host, 0)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    assert listening.wait(20), "the edge did not start"
    try:
        yield found[0]
    finally:
        server.should_exit = True
        thread.join()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Poll `condition` until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        threading.Event().wait(0.01)

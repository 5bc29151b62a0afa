"""A real edge and a real worker on a real queue, in one process, whose spans are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from service import tracing
from service.settings import Settings
from tests.integration.edge.live_edge import running_edge, until
from tests.integration.tracing.kept_spans import KeptSpans
from tests.integration.worker.running_worker import RunningWorker


@pytest.fixture
def settings() -> Settings:
    return Settings(backend="dummy", renew_every=0.3, drain_timeout=5)


@pytest.fixture
def spans() -> Iterator[KeptSpans]:
    kept = KeptSpans()
    with tracing.spans_kept(SimpleSpanProcessor(kept), "moebius"):
        yield kept


@pytest.fixture
def start_worker(queue_url: str, settings: Settings) -> Iterator[Callable[..., RunningWorker]]:
    running: list[RunningWorker] = []

    def start(**changes: object) -> RunningWorker:
        worker = RunningWorker(queue_url, settings.model_copy(update=changes))
        running.append(worker)
        until(lambda: worker.worker.ready)
        return worker

    yield start
    for worker in running:
        worker.end(drain=False)


@pytest.fixture
def client(queue_url: str, settings: Settings) -> Iterator[httpx.Client]:
    """A client of an edge, which has no worker yet."""
    with running_edge(queue_url, settings) as url, httpx.Client(base_url=url, timeout=60) as connected:
        yield connected

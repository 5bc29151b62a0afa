"""A real edge, a real queue and a real worker on the dummy engine, for files that go all the way and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
import redis

from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.edge.live_edge import running_edge, until
from tests.integration.formats.files import MASK
from tests.integration.formats.filling import Filled
from tests.integration.worker.running_worker import RunningWorker


@pytest.fixture(scope="module")
def service(queue_server: EmbeddedServer) -> Iterator[httpx.Client]:
    with redis.Redis.from_url(queue_server.url) as connection:
        connection.flushall()
    settings = Settings(backend="dummy", drain_timeout=5)
    worker = RunningWorker(queue_server.url, settings)
    try:
        with (
            running_edge(queue_server.url, settings) as url,
            httpx.Client(base_url=url, timeout=60) as client,
        ):
            until(lambda: client.get("/readyz").status_code == 200)
            yield client
    finally:
        worker.end(drain=False)


@pytest.fixture
def fill(service: httpx.Client) -> Callable[..., Filled]:
    """Upload a photo and a mask (by default MASK) and download what becomes of them, the hole no larger than the mask.

    Other form fields may be named; one that is None is left out.
    """

    def upload(image: bytes, mask: bytes = MASK, **fields: object) -> Filled:
        exact = {"dilate": 0, "feather": 0, "steps": 2, "seed": 7}
        data = {name: str(value) for name, value in {**exact, **fields}.items() if value is not None}
        answer = service.post("/v1/inpaint", files={"image": image, "mask": mask}, data=data)
        return Filled(answer)

    return upload

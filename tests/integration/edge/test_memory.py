"""What an idle edge holds: measured on a process of its own, as an operator would see it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from service.settings import Settings
from tests.faults.processes import EdgeProcess
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.requests import FILES

MOST_BYTES = 120_000_000
REQUESTS = 20


@pytest.fixture
def edge(tmp_path: Path, queue_url: str) -> Iterator[EdgeProcess]:
    process = EdgeProcess(tmp_path, Settings(redis_url=queue_url, port=0, grpc_port=0))
    process.start()
    yield process
    process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted otherwise elsewhere")
async def test_an_idle_edge_holds_at_most_120_mb(edge: EdgeProcess, queue_url: str) -> None:
    url = await edge.url()
    assert psutil.Process(edge.pid).memory_info().rss <= MOST_BYTES
    with FlatWorker(queue_url, Settings()):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            for _ in range(REQUESTS):
                (await client.post("/v1/inpaint", files=FILES)).raise_for_status()
    assert psutil.Process(edge.pid).memory_info().rss <= MOST_BYTES

"""Health that stays at 200 while the worker is dead sends users into the void; a balancer must see it."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from service.settings import Settings
from tests.faults.polling import PATIENCE, until
from tests.faults.processes import EdgeProcess, WorkerProcess
from tests.integration.edge.requests import FILES


async def test_an_edge_is_not_ready_any_more_once_its_only_worker_was_killed(
    short_lease: Settings,
    start_edge: Callable[[Settings], EdgeProcess],
    start_worker: Callable[..., WorkerProcess],
) -> None:
    edge, worker = start_edge(short_lease), start_worker(short_lease)
    url = await edge.url()

    def readiness() -> int:
        return httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code

    await until(lambda: readiness() == 200)
    worker.kill()
    await until(lambda: readiness() == 503)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        assert (await client.get("/livez")).status_code == 200
        refused = await client.post("/v1/inpaint", files=FILES)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    start_worker(short_lease)
    await until(lambda: readiness() == 200)

"""Who leaves a drop-in interface leaves no work behind, as with our own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.edge.compat.test_iopaint import PICTURES, ROUTE
from tests.integration.edge.compat.test_openai import ALPHA_MASK, named
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import PHOTO

REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/images/edits": {"files": {"image": named(PHOTO), "mask": named(ALPHA_MASK)}},
    ROUTE: {"json": PICTURES},
}


@pytest.mark.parametrize("route", REQUESTS)
def test_a_client_that_leaves_takes_its_job_along(
    client: httpx.Client, worker: FlatWorker, route: str
) -> None:
    with worker.held():
        known = len(worker.claims)
        with pytest.raises(httpx.ReadTimeout):
            client.post(route, **REQUESTS[route], timeout=httpx.Timeout(20, read=0.5))
        until(lambda: len(worker.claims) > known)
        until(lambda: worker.claims[known].job.id in worker.dropped)

"""A service for the blocks of code that pages show, with the engine that needs no model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.code_blocks import DOCUMENTED_GRPC, DOCUMENTED_URL
from tests.e2e.serving import serving


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Where what `make serve` would have started listens, by the address that is documented."""
    with serving() as service:
        yield {DOCUMENTED_URL: service.await_ready(), DOCUMENTED_GRPC: f"localhost:{service.grpc_port()}"}

"""Parts of the tests: the same call of the client without asyncio and of the one with it."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from moebius_client import AsyncClient, Client, Result, Retry
from moebius_client.retry import DEFAULT_RETRY
from tests.integration.edge.pictures import MASK, PHOTO

Kind = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")
QUICK = Retry(first_delay=0.01)


def inpaint(kind: Kind, server: str, *, retry: Retry = DEFAULT_RETRY, **arguments: Any) -> Result:
    """One call by a client of its own."""
    arguments = {"image": PHOTO, "mask": MASK, **arguments}
    if kind == "sync":
        with Client(server, retry=retry) as client:
            return client.inpaint(**arguments)

    async def call() -> Result:
        async with AsyncClient(server, retry=retry) as client:
            return await client.inpaint(**arguments)

    return asyncio.run(call())

"""Open-loop load on a service over HTTP: synchronous calls, asynchronous jobs, and some that are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import httpx

from benchmarks.arrivals import Arrival

JOB_EVERY = 5  # every so many requests one is an asynchronous job
CANCEL_EVERY = 20  # and every so many one is cancelled
POLL = 0.2
MOST_CONNECTIONS = 200
TIMEOUT = 150.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one request came to, and after how many seconds from its intended arrival."""

    what: str
    seconds: float


async def send_all(url: str, arrivals: Sequence[Arrival], image: bytes, mask: bytes) -> list[Outcome]:
    """Send each arrival at its time; every one ends in an outcome."""
    limits = httpx.Limits(max_connections=MOST_CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT, trust_env=False) as client:
        start = perf_counter()
        sender = _Sender(client, {"image": ("p.png", image), "mask": ("m.png", mask)}, start)
        pending: set[asyncio.Task[Outcome]] = set()
        outcomes: list[Outcome] = []
        for arrival in arrivals:
            await asyncio.sleep(max(0.0, start + arrival.at - perf_counter()))
            pending.add(asyncio.create_task(sender.send(arrival)))
            done = {task for task in pending if task.done()}
            outcomes += [task.result() for task in done]
            pending -= done
        return outcomes + await asyncio.gather(*pending)


class _Sender:
    """Sends one request in the way that its number asks for."""

    def __init__(self, client: httpx.AsyncClient, files: dict[str, tuple[str, bytes]], start: float) -> None:
        self._client = client
        self._files = files
        self._start = start

    async def send(self, arrival: Arrival) -> Outcome:
        """Answers what it came to; a transport's error is an outcome, too."""
        try:
            what = await self._send(arrival)
        except httpx.HTTPError as error:
            what = type(error).__name__
        return Outcome(what, perf_counter() - self._start - arrival.at)

    async def _send(self, arrival: Arrival) -> str:
        form = {"seed": str(arrival.seed), "steps": str(arrival.steps)}
        if arrival.seed % JOB_EVERY:
            response = await self._client.post("/v1/inpaint", files=self._files, data=form)
            return "pictures" if response.is_success else _problem(response)
        response = await self._client.post("/v1/jobs", files=self._files, data=form)
        if response.status_code != httpx.codes.ACCEPTED:
            return _problem(response)
        path = response.headers["location"]
        if arrival.seed % CANCEL_EVERY == 0:
            response = await self._client.delete(path)
            return "jobs cancelled" if response.is_success else _problem(response)
        return await self._fetch(path)

    async def _fetch(self, path: str) -> str:
        while True:
            response = await self._client.get(f"{path}/result")
            if response.status_code != httpx.codes.CONFLICT:
                return "jobs' pictures" if response.is_success else _problem(response)
            await asyncio.sleep(POLL)


def _problem(response: httpx.Response) -> str:
    return f"{response.status_code} {response.json().get('code', '')}"

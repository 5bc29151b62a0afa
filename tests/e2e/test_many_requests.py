"""Complaints about other services: they crash when two requests run at once, and their memory grows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from PIL import Image

from tests.e2e.code_blocks import ROOT
from tests.e2e.serving import PATIENCE, Serving, serving
from tests.integration.edge.pictures import encode

pytestmark = pytest.mark.slow

AT_ONCE = 16
SIDES = (64, 96, 200, 513)  # pixels; another number of crops, and another file, each
WARM_UP, REQUESTS = 40, 120
# A picture of 513 x 513 takes 0.75 MiB decoded: one that was kept for each request would be 90 MiB.
MOST_GROWTH = 30 * 1024 * 1024


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with serving() as running:
        running.await_ready()
        yield running


def filled(service: Serving, number: int) -> bytes:
    """The answer to a request that has no twin among the first sixteen."""
    side = SIDES[number % len(SIDES)]
    photo = Image.open(ROOT / "examples" / "seabed.jpg").resize((side, side))
    mask = Image.new("L", photo.size)
    mask.paste(255, (side // 4, side // 4, side // 2, side // 2))
    answer = httpx.post(
        f"{service.await_ready()}/v1/inpaint",
        files={"image": encode(photo), "mask": encode(mask)},
        data={"seed": str(number), "steps": str(4 + number % 17)},
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def test_requests_at_once_are_all_answered_and_with_what_each_gets_alone(service: Serving) -> None:
    alone = [filled(service, number) for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        together = list(threads.map(lambda number: filled(service, number), range(AT_ONCE)))
    assert len(set(alone)) == AT_ONCE
    assert together == alone


def test_memory_does_not_grow_with_the_number_of_requests(service: Serving) -> None:
    # The queue's server is left out: it keeps results for an hour, as it is told to.
    processes = [psutil.Process(service.process.pid), *service.workers()]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: filled(service, 3), range(WARM_UP)))
        before = {process: process.memory_info().rss for process in processes}
        list(threads.map(lambda _: filled(service, 3), range(REQUESTS)))
    grown = {
        " ".join(process.cmdline()[:4]): process.memory_info().rss - rss for process, rss in before.items()
    }
    assert {name: growth for name, growth in grown.items() if growth > MOST_GROWTH} == {}

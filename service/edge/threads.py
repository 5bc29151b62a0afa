"""The bounded threads in which an edge does work that would hold up its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

# A mask of 50 megapixels takes some 200 MB while it is decoded: few at a time keep an edge small.
_POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="edge")


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in one of the few threads, waiting for a free one; its exceptions are raised here. What it logs is
    part of the request.
    """
    return await asyncio.get_running_loop().run_in_executor(_POOL, copy_context().run, work)

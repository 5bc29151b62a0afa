"""What the parts of a process's start take, told in the log: where the seconds until it is ready go."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

logger = logging.getLogger(__name__)


@contextmanager
def start_stage(name: str) -> Iterator[None]:
    """Log the seconds of the block at the level debug, when it has ended well; a stage may lie within another."""
    started = perf_counter()
    yield
    logger.debug("start stage", extra={"stage": name, "seconds": round(perf_counter() - started, 4)})

"""The processor's cores: which of them this process may use, how they are shared out, and staying on them.

What is asked of the system is Linux's; elsewhere there is one answer, all cores, and nothing is pinned.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, or "max PERIOD" (cgroup v2)


def usable_cores() -> tuple[int, ...]:
    """Numbers of the cores that this process may run on. Those that share a socket, and hardware threads that share a
    core, lie side by side, so that a run of them is a whole part of the machine.
    """
    if not hasattr(os, "sched_getaffinity"):
        return tuple(range(os.cpu_count() or 1))
    return tuple(sorted(os.sched_getaffinity(0), key=lambda core: (*_place(core), core)))


def core_count() -> int:
    """Cores' worth of time that this process may take: a container may have less than it sees cores."""
    cores = len(usable_cores())
    quota = _quota()
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def shares(cores: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """As many even runs of the cores, one for each; none of them is empty, where there are as many cores."""
    bounds = [index * len(cores) // count for index in range(count + 1)]
    return [tuple(cores[start:end]) for start, end in pairwise(bounds)]


def parse_cores(text: str) -> frozenset[int]:
    """The numbers in "0-3,8". Raises ValueError for anything else."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = range(int(first), int(last if dash else first) + 1)
        if not numbers:
            raise ValueError(f"{part} names no core")
        found.update(numbers)
    return frozenset(found)


def format_cores(cores: Iterable[int]) -> str:
    """Inverse of `parse_cores`."""
    return ",".join(map(str, sorted(cores)))


def stay_on(cores: frozenset[int]) -> None:
    """Run this thread, and all that it starts from now on, on these cores only. Raises ValueError where they are not
    all ours.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    missing = cores - os.sched_getaffinity(0)
    if missing:
        raise ValueError(
            f"The cores {format_cores(missing)} are not among those that this process may use: "
            f"{format_cores(os.sched_getaffinity(0))}. Name others (MOEBIUS_CORES), or leave them out."
        )
    os.sched_setaffinity(0, cores)


def _place(core: int) -> tuple[int, int]:
    """Its socket and its physical core there; zeros where the system does not tell."""
    topology = TOPOLOGY / f"cpu{core}" / "topology"
    return _number(topology / "physical_package_id"), _number(topology / "core_id")


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _quota() -> float | None:
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such control group, or no limit
        return None

"""What a process holds in memory, as the kernel tells it of any process of ours."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resident:
    """Memory in MiB of one process at one moment: `resident` (RSS) counts pages that it shares with others in full,
    `proportional` (PSS) shares them out, `own` (USS) is what its end would free.
    """

    process: str
    moment: str
    resident: float
    proportional: float
    own: float

    @classmethod
    def of(cls, pid: int, process: str, moment: str) -> Resident:
        """Now. Raises psutil.NoSuchProcess."""
        memory = psutil.Process(pid).memory_full_info()
        return cls(process, moment, memory.rss / MEBIBYTE, memory.pss / MEBIBYTE, memory.uss / MEBIBYTE)

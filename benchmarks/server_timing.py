"""What an answer's Server-Timing header tells."""

from __future__ import annotations

import re

TIMING = re.compile(r"([a-z_]+);dur=([0-9.]+)")


def stages_of(header: str) -> dict[str, float]:
    """Milliseconds by stage."""
    return {stage: float(milliseconds) for stage, milliseconds in TIMING.findall(header)}

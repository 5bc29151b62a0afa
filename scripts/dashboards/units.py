"""Numbers as Grafana writes them, for the units that our panels use."""

from __future__ import annotations

import math

SUFFIX = "suffix:"
WORDS = {"reqps": " req/s", "short": "", "percentunit": " %"}
SECONDS = (
    (1e-3, 1e-6, " µs"),
    (1.0, 1e-3, " ms"),
    (120.0, 1.0, " s"),
    (7200.0, 60.0, " min"),
    (math.inf, 3600.0, " h"),
)
BYTES = tuple(
    (1024.0 ** (power + 1), 1024.0**power, f" {name}")
    for power, name in enumerate(("B", "KiB", "MiB", "GiB"))
)


def told(value: float, unit: str) -> str:
    """The value with its unit. `unit` is Grafana's name for it; raises KeyError for one that is not known here."""
    if math.isnan(value):
        return "no data"
    if unit == "s":
        return _scaled(value, SECONDS)
    if unit == "bytes":
        return _scaled(value, BYTES)
    if unit == "percentunit":
        return _digits(100 * value) + WORDS[unit]
    return _digits(value) + (unit.removeprefix(SUFFIX) if unit.startswith(SUFFIX) else WORDS[unit])


def _scaled(value: float, scale: tuple[tuple[float, float, str], ...]) -> str:
    """In the first unit whose limit is above the value: (limit, size, name) each."""
    if value == 0:
        return f"0{next(name for _, size, name in scale if size == 1)}"
    size, name = next(((size, name) for limit, size, name in scale if abs(value) < limit), scale[-1][1:])
    return _digits(value / size) + name


def _digits(value: float) -> str:
    """Three digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"

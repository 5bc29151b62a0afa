"""A line through measured points, and how far the points are from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FEWEST_POINTS = 3  # two lie on a line whatever they are
STRAIGHT = 0.1  # a line whose every point is within this share of it is called one


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds = `start` + `slope` n, by least squares; `worst` is the largest residual as a share of its point,
    `determination` the share of the variance that the line explains (R squared).
    """

    start: float
    slope: float
    worst: float
    determination: float

    @classmethod
    def through(cls, points: Mapping[float, float]) -> Line | None:
        """The line through seconds by n, or None where there are too few points for one."""
        if len(points) < FEWEST_POINTS:
            return None
        n, seconds = (np.array(list(values), np.float64) for values in (points.keys(), points.values()))
        slope, start = np.polyfit(n, seconds, 1)
        residuals = seconds - (start + slope * n)
        variance = float(((seconds - seconds.mean()) ** 2).sum())
        return cls(
            start=float(start),
            slope=float(slope),
            worst=float((np.abs(residuals) / seconds).max()),
            determination=1.0 if variance == 0 else 1 - float((residuals**2).sum()) / variance,
        )

    def text(self, unit: str) -> str:
        """One sentence, in milliseconds."""
        sign = "-" if self.slope < 0 else "+"
        formula = f"{self.start * 1e3:,.1f} ms {sign} {abs(self.slope) * 1e3:,.1f} ms x {unit}"
        verdict = "a line" if self.worst <= STRAIGHT else "no line"
        return (
            f"Time = {formula}, R^2 {self.determination:.4f}; the worst point is {self.worst:.0%} off: {verdict} "
            f"within {STRAIGHT:.0%}."
        )

"""Random holes of training: irregular strokes, and boxes beside some of them, with the published ranges.

The ranges are for pictures of 512 pixels and are scaled to the picture's side. The evaluation has holes of its own
(evaluation_masks.py), which never change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Mask = npt.NDArray[np.bool_]

# The picture's side, in pixels, that the published ranges are for.
PUBLISHED_SIDE = 512
# Smaller holes teach nothing: a redraw follows. Share of the picture; ours.
LEAST_COVERED = 0.005


@dataclass(frozen=True)
class StrokeRanges:
    """Ranges of the strokes, both ends included; lengths and widths in pixels at 512.

    Published: how many strokes, the greatest width, length and angle. The least width and length, and how many
    segments a stroke has, are ours.
    """

    count: tuple[int, int] = (1, 5)
    segments: tuple[int, int] = (1, 5)
    width: tuple[float, float] = (5, 250)
    length: tuple[float, float] = (10, 450)
    angle: float = 4.0  # radians: a segment's direction is in [0, angle], mirrored for half of the strokes


@dataclass(frozen=True)
class BoxRanges:
    """Ranges of the boxes, both ends included; sides and the margin to the border in pixels at 512. All published."""

    probability: float = 0.3
    count: tuple[int, int] = (1, 4)
    side: tuple[float, float] = (30, 300)
    margin: float = 10


@dataclass(frozen=True)
class DilationRanges:
    """How a hole is grown: by a square kernel, some times. Pixels of the picture itself, whatever its side."""

    probability: float = 0.99
    kernels: tuple[int, ...] = (3, 5, 7)
    times: tuple[int, int] = (1, 2)


def dilated(mask: Mask, rng: np.random.Generator, ranges: DilationRanges | None = None) -> Mask:
    """The hole [s, s], grown once or twice with the probability of `ranges` (published when not given)."""
    ranges = ranges or DilationRanges()
    if rng.random() >= ranges.probability:
        return mask
    grown = mask.astype(np.uint8)
    for _ in range(_count(ranges.times, rng)):
        side = int(rng.choice(ranges.kernels))
        grown = np.asarray(cv2.dilate(grown, np.ones((side, side), np.uint8)))
    return grown > 0


@dataclass(frozen=True)
class MaskSampler:
    """Draws masks [side, side], True = hole, that cover at most `most` of the picture: strokes always, boxes as
    often as `boxes.probability` says.
    """

    side: int
    most: float = 0.5
    strokes: StrokeRanges = StrokeRanges()
    boxes: BoxRanges = BoxRanges()
    dilation: DilationRanges = DilationRanges()

    def draw(self, rng: np.random.Generator) -> Mask:
        """One mask; redrawn until it covers something and at most `most`."""
        while True:
            picture = Image.new("L", (self.side, self.side))
            canvas = ImageDraw.Draw(picture)
            for _ in range(_count(self.strokes.count, rng)):
                self._stroke(canvas, rng)
            if rng.random() < self.boxes.probability:
                for _ in range(_count(self.boxes.count, rng)):
                    self._box(canvas, rng)
            mask = dilated(np.asarray(picture) > 127, rng, self.dilation)
            if LEAST_COVERED < mask.mean() <= self.most:
                return mask

    def _scaled(self, pixels: float) -> float:
        return pixels * self.side / PUBLISHED_SIDE

    def _stroke(self, canvas: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        """Joined segments of one width with round ends, kept within the picture."""
        mirrored = 1 if rng.random() < 0.5 else -1
        width = max(1, round(self._scaled(rng.uniform(*self.strokes.width))))
        x, y = rng.uniform(0, self.side), rng.uniform(0, self.side)
        points = [(x, y)]
        for _ in range(_count(self.strokes.segments, rng)):
            direction = mirrored * rng.uniform(0, self.strokes.angle)
            length = self._scaled(rng.uniform(*self.strokes.length))
            x = min(max(x + length * math.cos(direction), 0.0), self.side)
            y = min(max(y + length * math.sin(direction), 0.0), self.side)
            points.append((x, y))
        canvas.line(points, fill=255, width=width)
        for x, y in points:
            radius = width / 2
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

    def _box(self, canvas: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        """One box, no nearer to the border than the margin."""
        margin = self._scaled(self.boxes.margin)
        width, height = (self._scaled(rng.uniform(*self.boxes.side)) for _ in range(2))
        left = rng.uniform(margin, self.side - margin - width)
        top = rng.uniform(margin, self.side - margin - height)
        canvas.rectangle((left, top, left + width, top + height), fill=255)


def _count(ends: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(ends[0], ends[1] + 1))

"""The evaluation's holes: strokes, or boxes, never both. Training draws its own (masks.py).

Scores of two models compare only over the same holes, so what this draws for a seed never changes; a test pins it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.masks import PUBLISHED_SIDE, Mask


@dataclass(frozen=True)
class EvaluationMaskSampler:
    """Draws masks [side, side], True = hole, that cover at most `most` of the picture."""

    side: int
    most: float = 0.5
    box_probability: float = 0.3

    def _scaled(self, pixels: float) -> float:
        return pixels * self.side / PUBLISHED_SIDE

    def _strokes(self, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        """1-5 strokes of joined segments, each turning by up to 4 radians (published: width to 250, length to 450)."""
        for _ in range(int(rng.integers(1, 6))):
            x, y = rng.uniform(0, self.side, 2)
            width = max(3.0, self._scaled(rng.uniform(10, 250)) * rng.uniform(0.3, 1.0))
            for _ in range(int(rng.integers(1, 6))):
                angle = rng.uniform(0, 4) + (0 if rng.random() < 0.5 else np.pi)
                length = self._scaled(rng.uniform(10, 450)) * 0.5
                end_x = float(np.clip(x + length * np.cos(angle), 0, self.side))
                end_y = float(np.clip(y + length * np.sin(angle), 0, self.side))
                draw.line((x, y, end_x, end_y), fill=255, width=int(width))
                radius = width / 2
                draw.ellipse((end_x - radius, end_y - radius, end_x + radius, end_y + radius), fill=255)
                x, y = end_x, end_y

    def _boxes(self, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        """1-4 boxes of side 30-300 at 512, 10 pixels inside the border."""
        margin = self._scaled(10)
        for _ in range(int(rng.integers(1, 5))):
            width, height = (self._scaled(rng.uniform(30, 300)) for _ in range(2))
            left = rng.uniform(margin, max(margin + 1, self.side - margin - width))
            top = rng.uniform(margin, max(margin + 1, self.side - margin - height))
            draw.rectangle((left, top, left + width, top + height), fill=255)

    def draw(self, rng: np.random.Generator) -> Mask:
        """One mask; redrawn until it covers something and at most `most`."""
        while True:
            picture = Image.new("L", (self.side, self.side))
            shape = self._boxes if rng.random() < self.box_probability else self._strokes
            shape(ImageDraw.Draw(picture), rng)
            if rng.random() < 0.99:
                picture = picture.filter(ImageFilter.MaxFilter(int(rng.choice([3, 5, 7]))))
            mask = np.asarray(picture) > 127
            if 0.005 < mask.mean() <= self.most:
                return mask

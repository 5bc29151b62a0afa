"""All that a run tells while it trains, into its output folder and on the terminal; the first process's alone.

losses.csv has a row a step, samples/ the sample grids as PNG, tensorboard/ both and the speed and rates beside them.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from training.loop_recipe import LoopRecipe
from training.progress import LossLog, RecentSteps, display

Picture = npt.NDArray[np.uint8]


class RunLog:
    """The log of a run that starts, or goes on, at `first_step`."""

    def __init__(self, recipe: LoopRecipe, first_step: int) -> None:
        self.samples = recipe.output / "samples"
        self.losses = LossLog(recipe.output / "losses.csv", first_step)
        self.recent = RecentSteps(recipe.batch)
        self.display = display(first_step, recipe.steps)
        folder = str(recipe.output / "tensorboard")
        # What a run wrote after its last checkpoint is hidden when it goes on from there.
        self.board = SummaryWriter(folder, purge_step=first_step) if recipe.tensorboard else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.losses.close()
        self.display.close()
        if self.board is not None:
            self.board.close()

    def step(self, step: int, terms: dict[str, float], measures: dict[str, float]) -> None:
        """Tell of one step's loss terms, and of `measures` (rates, the gradient's norm) on TensorBoard only."""
        self.losses.add(step, terms)
        self.recent.add(terms)
        self.display.show(step, self.recent)
        if self.board is None:
            return
        for name, value in (terms | measures | {"images_per_second": self.recent.images_per_second}).items():
            self.board.add_scalar(name, value, step)

    def picture(self, step: int, picture: Picture) -> None:
        """Keep a sample grid [H, W, 3] drawn after `step` steps."""
        self.samples.mkdir(exist_ok=True)
        path = self.samples / f"step_{step:08d}.png"
        partial = path.with_suffix(".partial")
        Image.fromarray(picture).save(partial, format="PNG")
        partial.replace(path)
        if self.board is not None:
            self.board.add_image("samples", picture, step, dataformats="HWC")

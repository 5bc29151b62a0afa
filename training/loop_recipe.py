"""Settings that every training run has, whatever it trains; each trainer's recipe adds its own.

The defaults are the published ones (Moebius, arXiv 2606.19195): a constant rate of 1e-4, 200,000 steps, an average
with decay 0.9999.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from training.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class LoopRecipe:
    """Settings of the loop. `batch` counts the samples of one optimizer step over all processes and micro-batches.

    `warmup`, `checkpoint_every`, `keep_every` and `sample_every` are in steps; 0 turns the last three off, so that
    a run of `keep_every` 0 keeps its last checkpoint only. `matrix_learning_rate` is Muon's, `vector_learning_rate`
    AdamW's, which without `muon` takes all parameters. Raises RecipeError, naming the setting, for a value that no
    run can have.
    """

    output: Path
    batch: int
    steps: int = 200_000
    seed: int = 0
    matrix_learning_rate: float = 1e-4
    vector_learning_rate: float = 1e-4
    muon: bool = True
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    ema_decay: float = 0.9999
    clip_norm: float = 1.0
    accumulate: int = 1
    mixed_precision: Literal["no", "bf16"] = "no"
    gradient_checkpointing: bool = False
    frozen_batch_norm: bool = False
    checkpoint_every: int = 1000
    keep_every: int = 0
    sample_every: int = 1000
    tensorboard: bool = True

    # A resumed run may change these: the numbers that it computes stay the same up to rounding.
    FREE_TO_CHANGE: ClassVar[frozenset[str]] = frozenset(
        {
            "gradient_checkpointing",
            "checkpoint_every",
            "keep_every",
            "sample_every",
            "tensorboard",
        }
    )

    def __post_init__(self) -> None:
        for name in ("batch", "steps", "accumulate", "checkpoint_every"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("warmup", "keep_every", "sample_every", "seed"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("matrix_learning_rate", "vector_learning_rate", "clip_norm"):
            self._require(name, getattr(self, name) > 0, "more than 0")
        self._require("ema_decay", 0 <= self.ema_decay < 1, "from 0 up to, but not, 1")
        self._require("schedule", self.schedule in ("constant", "cosine"), "constant or cosine")
        self._require("mixed_precision", self.mixed_precision in ("no", "bf16"), "no or bf16")

    def _require(self, name: str, condition: bool, allowed: str) -> None:
        if not condition:
            raise RecipeError(f"{name} must be {allowed}, not {getattr(self, name)}")

    def fixed_settings(self) -> dict[str, Any]:
        """What a resumed run must share with the run before, as JSON values.

        Paths are left out: data and output may move. `steps` is left out where the schedule is constant: such a
        run may be made longer, while a cosine's every rate depends on its length.
        """
        free = self.FREE_TO_CHANGE | ({"steps"} if self.schedule == "constant" else set())
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name not in free and not isinstance(value, Path)
        }

    def write(self, path: Path) -> None:
        """Write every setting, defaults too, as YAML."""
        values = {
            name: str(value)
            if isinstance(value, Path)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in asdict(self).items()
        }
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def differences(self, saved: dict[str, Any]) -> list[str]:
        """Each setting of `saved`, another recipe's `fixed_settings`, that is not this recipe's, in words.

        A setting that `saved` does not know counts as its default.
        """
        defaults = {field.name: field.default for field in fields(self) if field.default is not MISSING}
        return [
            f"{name} is {value!r} here and was {saved.get(name, defaults.get(name))!r}"
            for name, value in self.fixed_settings().items()
            if saved.get(name, defaults.get(name)) != value
        ]

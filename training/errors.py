"""What a user of the training jobs can put right.

TrainingError
├── DataError           data that is missing, empty, or not what a list says
├── RecipeError         a recipe that can't be read, or asks for what can't be
└── CheckpointMismatch  a checkpoint that belongs to another run
"""

from __future__ import annotations


class TrainingError(ValueError):
    """Its message says what was wrong, what is allowed and what to do."""


class DataError(TrainingError):
    """The data of a recipe is missing, empty, or not what it should be."""


class RecipeError(TrainingError):
    """The recipe can't be read, or asks for what can't be."""


class CheckpointMismatch(TrainingError):  # noqa: N818 - reads as what happened
    """The checkpoint belongs to another run, or another version wrote it."""

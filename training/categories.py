"""The categories of Latent Categories Guidance: what a hole should be filled with, and the word for it in a list."""

from __future__ import annotations

from training.errors import DataError

# The token ids of a category are 10 times its number, and the nine that follow.
BACKGROUND = 0
FOREGROUND = 1

PROMPTS = {"background": BACKGROUND, "foreground": FOREGROUND}


def category_of(prompt: str, where: str) -> int:
    """The category of a prompt. Raises DataError, naming the place `where`, for any other word."""
    if prompt not in PROMPTS:
        raise DataError(f"{where}: the prompt is {prompt!r}; it must be one of: {', '.join(PROMPTS)}")
    return PROMPTS[prompt]

"""How far a run is: its losses as CSV, and as a bar on a terminal or as lines elsewhere."""

from __future__ import annotations

import csv
import sys
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WINDOW = 50
LINE_EVERY = 10


class LossLog:
    """Writes one CSV row a step. A resumed run appends, and drops rows of steps that its checkpoint does not know."""

    def __init__(self, path: Path, first_step: int) -> None:
        resumed = first_step > 0 and path.exists() and path.stat().st_size > 0
        if resumed:
            _forget_steps(path, first_step)
        self.file = path.open("a" if resumed else "w", newline="")
        self.writer = csv.writer(self.file)
        self.header = not resumed

    def add(self, step: int, terms: dict[str, float]) -> None:
        """Record the loss terms of `step`."""
        if self.header:
            self.writer.writerow(["step", *terms])
            self.header = False
        self.writer.writerow([step, *(f"{value:.5f}" for value in terms.values())])
        self.file.flush()  # a checkpoint may follow, and know of this step

    def close(self) -> None:
        """Flush and close the file."""
        self.file.close()


def _forget_steps(path: Path, first_step: int) -> None:
    """Keep the whole rows of the steps before `first_step`; a killed run may have cut its last row off."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    kept = [row for row in rows if len(row) == len(header) and int(row[0]) < first_step]
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        csv.writer(file).writerows([header, *kept])
    partial.replace(path)


class RecentSteps:
    """Means over the last 50 steps: of the loss terms, and of the images a second."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.terms: deque[dict[str, float]] = deque(maxlen=WINDOW)
        self.times: deque[float] = deque([time.monotonic()], maxlen=WINDOW + 1)

    def add(self, terms: dict[str, float]) -> None:
        """Count one step that has just ended."""
        self.terms.append(terms)
        self.times.append(time.monotonic())

    def means(self) -> dict[str, float]:
        """The mean of every term."""
        return {name: sum(row[name] for row in self.terms) / len(self.terms) for name in self.terms[-1]}

    @property
    def images_per_second(self) -> float:
        """Samples of the global batch a second."""
        return self.batch * (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)


class Display(Protocol):
    """Tells a person how far the run is."""

    def show(self, step: int, recent: RecentSteps) -> None:
        """Tell of a step that has just ended."""

    def close(self) -> None:
        """Give the terminal back."""


class Lines:
    """One line at every tenth step: for log files."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def show(self, step: int, recent: RecentSteps) -> None:
        """Print the line, if it is time."""
        if (step + 1) % LINE_EVERY == 0:
            speed = recent.images_per_second
            left = (self.steps - step - 1) * recent.batch / speed
            print(
                f"step {step + 1} of {self.steps}  {described(recent.means())}  "
                f"{speed:.2f} images/s  {duration(left)} left",
                flush=True,
            )

    def close(self) -> None:
        """Nothing to give back."""


class Bar:
    """A progress bar with the terms, images/s and the time left: for terminals."""

    def __init__(self, first_step: int, steps: int) -> None:
        self.progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self.task = self.progress.add_task("", total=steps, completed=first_step)
        self.progress.start()

    def show(self, step: int, recent: RecentSteps) -> None:
        """Move the bar."""
        text = f"{described(recent.means())}  {recent.images_per_second:.1f} images/s"
        self.progress.update(self.task, completed=step + 1, description=text)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()


def display(first_step: int, steps: int) -> Display:
    """A bar on a terminal, lines elsewhere."""
    return Bar(first_step, steps) if sys.stdout.isatty() else Lines(steps)


def described(terms: dict[str, float]) -> str:
    """Terms by name, in four digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in terms.items())


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"

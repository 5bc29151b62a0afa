"""The losses of a run as CSV and as lines on the terminal."""

from __future__ import annotations

import csv
from collections import deque
from pathlib import Path


class LossLog:
    """Writes one CSV row a step and prints the running mean of 50 steps at every tenth. A resumed run appends, and
    drops the rows of steps that its checkpoint does not know.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        resumed = first_step > 0 and path.exists()
        if resumed:
            _forget_steps(path, first_step)
        self.file = path.open("a" if resumed else "w", newline="")
        self.writer = csv.writer(self.file)
        self.recent: deque[dict[str, float]] = deque(maxlen=50)
        self.header = not resumed

    def add(self, step: int, terms: dict[str, float], steps_per_second: float) -> None:
        """Record the loss terms of `step`."""
        if self.header:
            self.writer.writerow(["step", *terms])
            self.header = False
        self.writer.writerow([step, *(f"{value:.5f}" for value in terms.values())])
        self.recent.append(terms)
        if (step + 1) % 10 == 0:
            self.file.flush()
            means = {name: sum(row[name] for row in self.recent) / len(self.recent) for name in terms}
            shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            print(f"step {step + 1}  {shown}  {steps_per_second:.2f} steps/s", flush=True)

    def close(self) -> None:
        """Flush and close the file."""
        self.file.close()


def _forget_steps(path: Path, first_step: int) -> None:
    """Keep the whole rows of the steps before `first_step`; a killed run may have cut its last row off."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    kept = [row for row in rows if len(row) == len(header) and int(row[0]) < first_step]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *kept])

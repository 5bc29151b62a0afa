"""What is told while photos are filled: a bar and faults on stderr, a line for each photo on stdout, and the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from service.inpaint_cli.task import Filling, Outcome, Task

if TYPE_CHECKING:
    from rich.progress import Progress

MOST_LISTED = 20


class Report:
    """Tells of `total` photos. `alone`: one photo, told in more words; `as_json`: a JSON object a line instead."""

    def __init__(self, total: int, *, alone: bool, as_json: bool) -> None:
        self._total = total
        self.alone = alone
        self._as_json = as_json
        self._under_way: dict[Task, float] = {}
        self._bar: Progress | None = None
        self.outcomes: list[Outcome] = []

    @contextmanager
    def bar(self) -> Iterator[None]:
        """A bar on stderr meanwhile; nothing where stderr is no terminal."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        # What goes to stdout goes there, and not through the bar: it may be a file.
        hidden = not console.is_terminal
        bar = Progress(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=hidden,
        )
        with bar:
            bar.add_task(self._described(), total=self._total)
            self._bar = None if hidden else bar
            try:
                yield
            finally:
                self._bar = None

    def step(self, task: Task, fraction: float) -> None:
        """How much of a photo is done, 0 to 1."""
        self._under_way[task] = fraction
        self._draw()

    def tell(self, outcome: Outcome, task: Task | None = None) -> None:
        """A photo has come to its end."""
        self.outcomes.append(outcome)
        if task is not None:
            self._under_way.pop(task, None)
        self._draw()
        if self._as_json:
            self._say(json.dumps(outcome.document()))
        if outcome.failure is not None:
            name = "moebius" if self.alone else str(outcome.photo)
            self._say(f"{name}: {outcome.failure.detail}", err=True)
        elif not self._as_json:
            for line in self._lines(outcome):
                self._say(line)

    def sum_up(self, *, interrupted: bool = False) -> None:
        """On stderr how many were done, and which were not."""
        if self.alone:
            return
        counts = {status: self._count(status) for status in ("done", "skipped", "failed")}
        left = self._total - len(self.outcomes)
        told = [f"{count} {status}" for status, count in counts.items() if count or status == "done"]
        told += [f"{left} not tried"] if left else []
        typer.echo(("interrupted: " if interrupted else "") + ", ".join(told), err=True)
        failed = [outcome for outcome in self.outcomes if outcome.failure is not None]
        for outcome in failed[:MOST_LISTED]:
            assert outcome.failure is not None
            typer.echo(f"  {outcome.photo}: {outcome.failure.detail}", err=True)
        if len(failed) > MOST_LISTED:
            typer.echo(f"  and {len(failed) - MOST_LISTED} more", err=True)
        if left or failed:
            typer.echo("The same command again does what is left, and skips what is done.", err=True)

    @property
    def any_failed(self) -> bool:
        """Whether a photo could not be filled."""
        return self._count("failed") > 0

    def _count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    def _described(self) -> str:
        if self.alone:
            return "denoising"
        failed = self._count("failed")
        return f"{len(self.outcomes)} of {self._total} photos" + (f", {failed} failed" if failed else "")

    def _draw(self) -> None:
        if self._bar is not None:
            (task_id,) = self._bar.task_ids
            completed = len(self.outcomes) + sum(self._under_way.values())
            self._bar.update(task_id, completed=completed, description=self._described())

    def _lines(self, outcome: Outcome) -> Iterator[str]:
        if outcome.status == "skipped":
            lacking = ", but its effective mask is not; --overwrite makes both anew"
            yield f"skipped {outcome.outputs[0]}: it is there{lacking if outcome.lacks_effective_mask else ''}"
            return
        yield from (f"wrote {path}" for path in outcome.outputs)
        if outcome.effective_mask is not None:
            yield f"wrote {outcome.effective_mask}, the effective mask"
        if outcome.filling is not None:
            yield from _told(outcome.filling) if self.alone else _notes(outcome.filling)

    def _say(self, text: str, *, err: bool = False) -> None:
        """Above the bar, if it is drawn on the same terminal."""
        if self._bar is not None and (err or sys.stdout.isatty()):
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(text, err=err)


def _told(filling: Filling) -> Sequence[str]:
    seeds = ", ".join(map(str, filling.seeds))
    stages = "  ".join(f"{stage} {seconds:.2f} s" for stage, seconds in filling.stages.items())
    return (
        f"model {filling.model}  seed {seeds}  crops {len(filling.boxes)}",
        f"{stages}  total {sum(filling.stages.values()):.2f} s",
        *_notes(filling),
    )


def _notes(filling: Filling) -> Sequence[str]:
    return [f"note: {note}" for note in filling.notes]

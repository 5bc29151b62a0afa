"""How results look in Markdown: a heading with hardware and command, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def heading(title: str, hardware: str, command: str) -> list[str]:
    """The title, what it was measured on, and how to measure it again."""
    return [f"# {title}", "", f"Hardware: {hardware}.  ", f"Command: `{command}`", ""]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, and an empty line after it."""
    lines = [_line(columns), "|" + "---|" * len(columns)]
    return [*lines, *map(_line, rows), ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

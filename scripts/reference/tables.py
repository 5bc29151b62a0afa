"""Markdown of the pages of reference: tables, and text as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

SIGNS = re.compile(r"([\\*_\[\]])")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def words(text: str) -> str:
    """Text on one line, without a sign that Markdown or HTML would take for its own; `code` stays code."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [SIGNS.sub(r"\\\1", escape(part, quote=False)).replace("|", "&#124;") for part in parts[::2]]
    return "`".join(parts)


def code(text: str) -> str:
    """Text as code; nothing where there is none."""
    if "|" in text:
        return f"<code>{escape(text, quote=False).replace('|', '&#124;')}</code>"
    return f"`{text}`" if text else ""

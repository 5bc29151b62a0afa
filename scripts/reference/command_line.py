"""docs/reference/command-line.md from the commands themselves, as `moebius ... --help` tells them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from scripts.reference.tables import code, table, words
from service.cli import app

BEGINNING = """# Command line

`moebius COMMAND --help` tells the same. An option of `serve`, `edge` and `worker` is also a [setting](settings.md) of
the environment, and those without an option are there alone.

"""
Command = Any  # typer's commands are typed as those of the library that it brings along


def page() -> str:
    """The page."""
    root = get_command(app)
    context = root.context_class(root, info_name="moebius")
    return BEGINNING + "\n".join(sections(root, context, "moebius"))


def sections(command: Command, context: Any, name: str) -> Iterator[str]:
    """A part for each command below `command` that does something."""
    children = getattr(command, "commands", {})
    if not children:
        yield section(command, context, name)
    for child in children.values():
        if not child.hidden:
            inner = child.context_class(child, info_name=child.name, parent=context)
            yield from sections(child, inner, f"{name} {child.name}")


def section(command: Command, context: Any, name: str) -> str:
    """One command: what it does, how it is called, its arguments and options, its examples."""
    text = f"## {name}\n\n{paragraphs(command.help or '')}\n\n"
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text += f"```text\n{usage}\n```\n\n"
    rows = [row for parameter in command.get_params(context) if (row := parameter.get_help_record(context))]
    text += table(("argument or option", "meaning"), ((code(left), words(right)) for left, right in rows))
    if command.epilog:
        text += f"\n```text\n{command.epilog.strip()}\n```\n"
    return text


def paragraphs(text: str) -> str:
    """Help as Markdown: a blank line ends a paragraph."""
    return "\n\n".join(words(part) for part in text.split("\n\n"))

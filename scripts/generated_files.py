"""Committed files that a program makes: which differ from what it gives, and what such a program's command line is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

Name = TypeVar("Name", str, Path)


def differing(wanted: Mapping[Name, str], found: Mapping[Name, str]) -> list[str]:
    """Names of files that are missing, left over or of another text."""
    return sorted(str(name) for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write_or_check(
    description: str | None, write: Callable[[], None], differences: Callable[[], list[str]], complaint: str
) -> int:
    """Write; with `--check`, print the complaint about each file that differs, its name in place of {name}, and
    answer the exit status.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 where a file differs")
    if not parser.parse_args().check:
        write()
        return 0
    different = differences()
    for name in different:
        print(complaint.format(name=name), file=sys.stderr)
    return int(bool(different))

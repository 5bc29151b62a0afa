"""Hooks of mkdocs (mkdocs.yml): what the pages link to outside docs/ becomes part of the site, below repository/.

The same Markdown is read on a code host, where links lead through the repository. A linked page is built, any other
file is copied as it is. A folder stands for its README, and is plain text where it has none; so is a benchmark's result
that was not measured yet.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
RESULTS = ROOT / "benchmarks" / "results"
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the decisions to the navigation: each new one is there by itself."""
    pages = [path.relative_to(DOCS).as_posix() for path in sorted(DECISIONS.glob("*.md"))]
    config.nav = [*(config.nav or []), {"Decisions": pages}]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is linked, what that links to, and so on."""
    waiting = sorted(DOCS.rglob("*.md"))
    known = set(waiting)
    while waiting:
        for path in linked_files(waiting.pop()):
            if path in known or path.is_relative_to(DOCS):
                continue
            known.add(path)
            files.append(File.generated(config, place_of(path), abs_src_path=str(path)))
            if path.suffix == ".md":
                waiting.append(path)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs'
    """Let the links lead to where their files lie in the site."""
    source = page.file.abs_src_path
    return markdown if source is None else with_links_of_site(markdown, Path(source))


def place_of(path: Path) -> str:
    """Where a file of the repository lies in the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"repository/{path.relative_to(ROOT).as_posix()}"


def linked_files(page: Path) -> Iterator[Path]:
    """The files of the repository that a page links to."""
    for part in FENCED.split(page.read_text("utf-8"))[::2]:
        for link in LINK.finditer(part):
            path = file_of(link["target"], page)
            if path is not None and path.is_file():
                yield path


def file_of(target: str, page: Path) -> Path | None:
    """What a link of a page leads to in the repository; None where that is nothing which the site can have."""
    if ELSEWHERE.match(target):
        return None
    path = Path(os.path.normpath(page.parent / target.partition("#")[0]))
    if path.is_dir():
        path = path / "README.md"
        if not path.is_file():
            return None
    if path.is_relative_to(RESULTS) and not path.is_file():
        return None
    hidden = not path.is_relative_to(ROOT) or any(
        part.startswith(".") for part in path.relative_to(ROOT).parts
    )
    return None if hidden else path


def with_links_of_site(markdown: str, page: Path) -> str:
    """The text of a page with each link as the site needs it; blocks of code stay as they are."""

    def rewritten(link: re.Match[str]) -> str:
        target = link["target"]
        if ELSEWHERE.match(target):
            return link[0]
        path = file_of(target, page)
        if path is None:
            return link["text"]
        place = posixpath.relpath(place_of(path), posixpath.dirname(place_of(page)))
        anchor = target.partition("#")[2]
        return f"{link['image']}[{link['text']}]({place}{'#' if anchor else ''}{anchor})"

    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(rewritten, part) for part in parts[::2]]
    return "".join(parts)

"""The blocks of code in a Markdown page: which are run, which say why not, and how one is run in a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(
    r"(?:<!-- test: skip, (?P<reason>[^>]+?) -->\n)?"
    r"^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
DOCUMENTED_URL = "http://localhost:8080"
DOCUMENTED_GRPC = "localhost:50051"
COPIED = (
    "Makefile",
    "README.md",
    "constraints.txt",
    "examples",
    "proto",
    "pyproject.toml",
    "scripts",
    "training",
)
PATIENCE = 600
COMMANDS = {
    "sh": ("bash", "-euo", "pipefail", "-c"),
    "python": (".venv/bin/python", "-W", "error", "-c"),
    "js": ("node", "-e"),
}
OUTPUTS = ("", "text", "json")  # what a program says, and nothing to run


@dataclass(frozen=True)
class Block:
    """Code between a pair of fences, and why it is not run, if it is not."""

    language: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return self.code.splitlines()[0]

    @property
    def is_code(self) -> bool:
        """Whether it is something to run, rather than what was said by something that ran."""
        return self.language not in OUTPUTS


def blocks_of(text: str) -> list[Block]:
    """All of a page, in their order."""
    return [Block(found["language"], found["code"], found["reason"]) for found in FENCED.finditer(text)]


def run_block(
    block: Block, folder: Path, addresses: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it in a checkout, with the documented addresses replaced by those that are served."""
    code = block.code
    for documented, served in addresses.items():
        code = code.replace(documented, served)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        [*COMMANDS[block.language], code],
        cwd=folder,
        env={**inherited, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )


def needs_service(block: Block) -> bool:
    """Whether it speaks to one."""
    return DOCUMENTED_URL in block.code or DOCUMENTED_GRPC in block.code


def checkout_in(folder: Path) -> Path:
    """Make it like a clone in which `make` has installed everything: this environment, by links."""
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("."):
            (environment / entry.name).symlink_to(entry)
    for stamp in (".serving", ".everything"):
        (environment / stamp).touch()
    return folder

"""The README's shell blocks do what they say, in order, in a checkout of their own; its tables tell the truth."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command

from service.cli import app
from service.contracts import Params
from service.hub import PUBLISHED
from tests.e2e.serving import serving

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- test: skip, (?P<reason>[^>]+) -->\n)?```sh\n(?P<commands>.*?)```", re.DOTALL)
DOCUMENTED_URL = "http://localhost:8080"
DOCUMENTED_GRPC = "localhost:50051"
COPIED = ("Makefile", "README.md", "constraints.txt", "examples", "pyproject.toml", "scripts", "training")
PATIENCE = 600


@dataclass(frozen=True)
class Block:
    """Commands between a pair of fences, and why they are not run here, if they are not."""

    commands: str
    reason: str | None

    def __str__(self) -> str:
        return self.commands.splitlines()[0]


BLOCKS = [Block(found["commands"], found["reason"]) for found in BLOCK.finditer(README)]
RUN = [block for block in BLOCKS if block.reason is None]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a clone in which `make` has installed everything: this environment, by links."""
    folder = tmp_path_factory.mktemp("checkout")
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


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Where what `make serve` would have started listens, with the engine that needs no model."""
    with serving() as service:
        yield {DOCUMENTED_URL: service.await_ready(), DOCUMENTED_GRPC: f"localhost:{service.grpc_port()}"}


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_of_commands_works(block: Block, checkout: Path, request: pytest.FixtureRequest) -> None:
    commands = block.commands
    if DOCUMENTED_URL in commands or DOCUMENTED_GRPC in commands:
        for documented, served in request.getfixturevalue("addresses").items():
            commands = commands.replace(documented, served)
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert finished.returncode == 0, finished.stdout
    for promised in re.findall(r"(?:-o|--output) (\S+)", commands):
        assert (checkout / promised).stat().st_size > 10_000
    if "make demo" in commands:
        written = {path.name for path in (checkout / "out").iterdir()}
        assert {"before.png", "after.png", "compare.png"} <= written
        assert "denoise" in finished.stdout


def test_the_first_commands_are_the_demo_and_the_tests() -> None:
    assert [block.commands.strip() for block in BLOCKS[:2]] == ["make demo", "make test"]


def test_only_what_can_not_run_here_is_skipped() -> None:
    assert [str(block) for block in BLOCKS if block.reason is not None] == [
        "make test",
        "make serve",
        "docker compose up --detach --wait",
        ".venv/bin/python -m pip install --constraint constraints.txt --editable '.[cpu,export]'",
    ]


def first_cells(heading: str) -> list[list[str]]:
    """The code words in the first cell of each row of the table under a heading."""
    section = README.split(f"### {heading}\n")[1].split("\n#")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [re.findall(r"`([^`]+)`", row) for row in rows]


def test_the_parameter_table_has_every_parameter_in_order() -> None:
    assert [name for cell in first_cells("Parameters") for name in cell] == list(Params.model_fields)


def test_the_parameter_table_tells_the_defaults() -> None:
    for name, field in Params.model_fields.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
        told = row.split("|")[3].strip().strip("`")
        if field.default is not None:
            assert told == str(getattr(field.default, "value", field.default)).lower()


def test_the_command_table_names_every_command() -> None:
    told = " ".join(word for cell in first_cells("Command line") for word in cell)
    command = get_command(app)
    names = getattr(command, "commands")  # noqa: B009 - typer's group is typed as a plain command
    assert {name for name, entry in names.items() if not entry.hidden} == {
        name for name in names if f"moebius {name}" in told
    }


def test_the_model_table_names_every_published_model() -> None:
    told = {word for cell in first_cells("Models") for word in cell}
    assert set(PUBLISHED) <= told


def test_every_linked_file_is_there() -> None:
    shown = re.sub(r"<!--.*?-->", "", README, flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)\)", shown)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []

"""The README's shell blocks do what they say, in order, in a checkout of their own; its tables tell the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from service.cli import app
from service.contracts import Params
from service.hub import PUBLISHED
from tests.e2e.code_blocks import ROOT, Block, blocks_of, checkout_in, needs_service, run_block

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [block for block in blocks_of(README) if block.is_code]
RUN = [block for block in BLOCKS if block.reason is None]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a clone in which `make` has installed everything."""
    return checkout_in(tmp_path_factory.mktemp("checkout"))


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_of_commands_works(block: Block, checkout: Path, request: pytest.FixtureRequest) -> None:
    addresses = request.getfixturevalue("addresses") if needs_service(block) else {}
    finished = run_block(block, checkout, addresses)
    assert finished.returncode == 0, finished.stdout
    for promised in re.findall(r"(?:-o|--output) (\S+)", block.code):
        path = checkout / promised
        assert all(file.stat().st_size > 10_000 for file in ([*path.iterdir()] if path.is_dir() else [path]))
    if "make demo" in block.code:
        written = {path.name for path in (checkout / "out").iterdir()}
        assert {"before.png", "after.png", "compare.png"} <= written
        assert "denoise" in finished.stdout


def test_the_first_commands_are_the_demo_and_the_tests() -> None:
    assert [block.code.strip() for block in BLOCKS[:2]] == ["make demo", "make test"]


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

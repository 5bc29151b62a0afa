"""docs/complaints.md: every complaint is there, and every test that it names."""

from __future__ import annotations

import ast
import re

import pytest

from tests.e2e.code_blocks import ROOT

PAGE = (ROOT / "docs" / "complaints.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\|.*`tests/", line)
]
COMPLAINTS = [
    "Blurry fills from shrinking the whole photo",
    "Ghosts of the object",
    "Seams and tone shifts",
    "Pixels changing outside the mask",
    "Wrong output size",
    "Masks silently ignored or inverted",
    "JPEG batches turned into PNG",
    "Rotated photos",
    "Lost transparency and colour profile",
    "Crashes when two requests run at once",
    "One user's batch starving the others",
    "Memory that grows",
    "Work that runs on after the client has left",
    "503 for overload",
    "Health 200 with a dead worker",
    "Needing a network although everything is on disk",
]


def test_every_complaint_has_a_test() -> None:
    assert [row[0] for row in ROWS if row[0]] == COMPLAINTS


def test_every_row_names_one_test_and_says_what_it_holds() -> None:
    assert all(re.fullmatch(r"`[\w/]+\.py::test_\w+`", test) and said for _, test, said in ROWS)


@pytest.mark.parametrize("test", [row[1].strip("`") for row in ROWS])
def test_a_test_that_is_named_is_there_and_is_run(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    assert len(functions) == 1
    assert not any("skip" in ast.unparse(decorator) for decorator in functions[0].decorator_list)

"""Every block of code in docs/ does what its page says, in the order of the page, in a checkout of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.code_blocks import COMMANDS, ROOT, Block, blocks_of, checkout_in, needs_service, run_block

DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): blocks_of(path.read_text("utf-8"))
    for path in sorted(DOCS.rglob("*.md"))
}
RUN_ELSEWHERE = {"nginx": "test_docs_nginx.py", "go": "test_docs_go.py"}  # languages that another test runs
RUN = [
    pytest.param(page, index, id=f"{page}-{index}")
    for page, blocks in PAGES.items()
    for index, block in enumerate(blocks)
    if block.language in COMMANDS and block.reason is None
]
NODE_PACKAGES = ("@grpc/grpc-js@1.14.0", "@grpc/proto-loader@0.8.0")
WRITTEN = re.compile(r"""(?:(?:^|\s)-o |\.save\("|writeFileSync\(")([\w./-]+\.(?:jpg|png|json))""")


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder like a clone for each page; made when it is needed."""
    return {page: tmp_path_factory.mktemp("checkout") for page in PAGES}


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where Node finds the packages that the pages name."""
    if shutil.which("npm") is None:
        pytest.skip("THE DOCUMENTED NODE CLIENT IS NOT TESTED: npm is not here")
    folder = tmp_path_factory.mktemp("node")
    install = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder),
        *NODE_PACKAGES,
    ]
    subprocess.run(install, check=True)
    return str(folder / "node_modules")


@pytest.mark.slow
@pytest.mark.parametrize(("page", "index"), RUN)
def test_a_block_of_code_works(
    page: str, index: int, checkouts: dict[str, Path], request: pytest.FixtureRequest
) -> None:
    block, folder = PAGES[page][index], checkouts[page]
    if not (folder / "Makefile").exists():
        checkout_in(folder)
    addresses = request.getfixturevalue("addresses") if needs_service(block) else {}
    environment = {"NODE_PATH": request.getfixturevalue("node_modules")} if block.language == "js" else {}
    finished = run_block(block, folder, addresses, environment)
    assert finished.returncode == 0, finished.stdout
    for promised in WRITTEN.findall(block.code):
        assert (folder / promised).stat().st_size > 100, promised


def test_no_block_is_left_out_without_a_reason() -> None:
    left = [
        f"{page}: {block}"
        for page, blocks in PAGES.items()
        for block in blocks
        if block.is_code and block.reason is None and block.language not in {*COMMANDS, *RUN_ELSEWHERE}
    ]
    assert left == []


def test_a_reason_is_more_than_a_word() -> None:
    reasons = [block.reason for blocks in PAGES.values() for block in blocks if block.reason is not None]
    assert all(len(reason.split()) > 3 for reason in reasons)


def test_the_other_tests_that_run_blocks_are_there() -> None:
    folder = Path(__file__).parent
    assert all((folder / name).exists() for name in RUN_ELSEWHERE.values())


def test_blocks_are_found_with_their_reasons() -> None:
    text = "a\n```sh\nmake\n```\n<!-- test: skip, it never ends -->\n```python\nwhile True: pass\n```\n"
    assert blocks_of(text) == [
        Block("sh", "make\n", None),
        Block("python", "while True: pass\n", "it never ends"),
    ]


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    assert run_block(Block("sh", "false\ntrue\n", None), tmp_path, {}).returncode != 0
    assert run_block(Block("sh", "false | true\n", None), tmp_path, {}).returncode != 0

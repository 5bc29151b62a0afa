"""The documentation is built without a complaint into a site that loads nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from scripts.generate_reference import differences
from scripts.site_links import with_links_of_site
from tests.e2e.code_blocks import ROOT

LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
IN_STYLES = re.compile(r"""url\(\s*["']?(https?:|//)|@import\s+["'](https?:|//)""")


class Loaded(HTMLParser):
    """What a page makes a browser load by itself, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.places.update(filter(None, (values.get("id"), values.get("name"))))
        if tag in LOADING and (address := values.get(LOADING[tag])):
            self.loaded.append(address)
        if tag == "a" and (target := values.get("href")):
            self.links.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds; any warning of mkdocs ends it."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Loaded]:
    found = {}
    for path in site.rglob("*.html"):
        found[path] = Loaded()
        found[path].feed(path.read_text("utf-8"))
    return found


@pytest.mark.slow
def test_a_page_loads_nothing_from_elsewhere(pages: dict[Path, Loaded]) -> None:
    assert len(pages) > 30
    foreign = {address for page in pages.values() for address in page.loaded if urlsplit(address).netloc}
    assert foreign == set()


@pytest.mark.slow
def test_a_style_loads_nothing_from_elsewhere(site: Path) -> None:
    texts = {path.name: path.read_text("utf-8") for path in [*site.rglob("*.css"), *site.rglob("*.html")]}
    assert [name for name, text in texts.items() if IN_STYLES.search(text)] == []


@pytest.mark.slow
def test_every_link_leads_somewhere(site: Path, pages: dict[Path, Loaded]) -> None:
    lost = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            there = target in pages and parts.fragment in {"", "__codelineno", *pages[target].places}
            if not (there or (target.suffix != ".html" and target.is_file())):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert lost == []


@pytest.mark.slow
def test_a_linked_page_outside_docs_is_in_the_site(site: Path) -> None:
    assert "InpaintNoWorkerReady" in (site / "repository" / "deploy" / "runbook.html").read_text("utf-8")


def test_links_lead_to_where_their_files_lie_in_the_site() -> None:
    page = ROOT / "docs" / "how-to" / "jobs.md"
    text = (
        "[r](../../deploy/runbook.md#a) [s](masks.md) [t](../../benchmarks/) [u](https://a.example/) [v](#w)"
    )
    assert with_links_of_site(text, page) == (
        "[r](../repository/deploy/runbook.md#a) [s](masks.md) t [u](https://a.example/) [v](#w)"
    )


def test_a_link_back_into_docs_leads_there() -> None:
    assert with_links_of_site("![d](docs/images/demo.png)", ROOT / "README.md") == "![d](../images/demo.png)"


def test_code_that_looks_like_a_link_stays() -> None:
    text = "```python\nhandlers[name](argument)\n```\n"
    assert with_links_of_site(text, ROOT / "docs" / "index.md") == text


def test_the_reference_is_what_the_code_gives() -> None:
    assert differences() == []

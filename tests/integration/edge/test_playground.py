"""The page's files over HTTP: who may load them, what they may load, and how they are kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import httpx
import pytest

from service.edge.playground.files import FOLDER
from service.settings import Settings
from tests.integration.edge.live_edge import running_edge

NAMES = sorted(path.name for path in FOLDER.iterdir() if path.name != "index.html")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@pytest.fixture
def keyed(empty_queue_url: str) -> Iterator[httpx.Client]:
    """A client without a key of an edge that asks for one."""
    settings = Settings(api_keys={"alice": hashlib.sha256(b"her key").hexdigest()})
    with running_edge(empty_queue_url, settings) as url, httpx.Client(base_url=url, timeout=60) as connected:
        yield connected


def test_the_page_is_at_the_root(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_served_as_it_is_with_its_type(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/playground/{name}")
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-type"] == TYPES["." + name.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/playground/main.js"])
def test_the_page_may_load_nothing_from_elsewhere(client: httpx.Client, path: str) -> None:
    policy = client.get(path).headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == directives["form-action"] == "'none'"
    assert set(directives["img-src"].split()) == {"'self'", "blob:", "data:"}


@pytest.mark.parametrize("path", ["/", "/playground/style.css"])
def test_a_file_that_the_browser_has_is_not_sent_again(client: httpx.Client, path: str) -> None:
    first = client.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b""), known
        assert again.headers["etag"] == tag
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/playground/main.js"])
def test_head_answers_the_same_without_the_content(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length", "content-security-policy"):
        assert head.headers[name] == get.headers[name]


def test_another_method_is_told_which_are_allowed(client: httpx.Client) -> None:
    answer = client.post("/")
    assert answer.status_code == 405
    assert {method.strip() for method in answer.headers["allow"].split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize("name", ["nothing.js", "..%2froutes.py", "%2e%2e/files.py", ""])
def test_what_is_no_file_of_the_page_is_a_problem(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/playground/{name}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_route"


def test_the_page_needs_no_key_where_the_interface_does(keyed: httpx.Client) -> None:
    assert keyed.get("/v1/models").status_code == 401
    assert keyed.get("/").status_code == 200
    assert keyed.get("/playground/main.js").status_code == 200


def test_the_description_of_the_interface_is_without_the_page(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path == "/" or "playground" in path]


def test_the_page_refers_only_to_files_that_are_served(client: httpx.Client) -> None:
    text = client.get("/").text
    for path in re.findall(r'(?:src|href)="([^"#]+)"', text):
        assert client.get(f"/{path}").status_code == 200, path
    for name in NAMES:
        for imported in re.findall(r'(?:from|import\() ?"\./([^"]+)"', (FOLDER / name).read_text("latin-1")):
            assert imported in NAMES, f"{name} imports {imported}"

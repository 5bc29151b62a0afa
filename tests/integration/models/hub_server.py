"""A server of the hub's download paths: HEAD and GET /{owner}/{name}/resolve/{revision}/{file}.

Large files lie behind a redirect, as the hub's own do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = {"main", COMMIT}


class HubHandler(BaseHTTPRequestHandler):
    """Serves `root`/{owner}/{name}/{file}; `damaged` files are announced with the digest of other bytes."""

    root: Path
    damaged: frozenset[str] = frozenset()

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "storage":
            self._send_file(self.root.joinpath(*parts[1:]), with_body=with_body)
        elif len(parts) > 4 and parts[2] == "resolve" and parts[3] in REVISIONS:
            self._resolve([*parts[:2], *parts[4:]], with_body=with_body)
        else:
            self._send_missing("RevisionNotFound")

    def _resolve(self, parts: list[str], *, with_body: bool) -> None:
        path = self.root.joinpath(*parts)
        if not path.is_file():
            self._send_missing("EntryNotFound")
        elif path.suffix == ".bin":
            self.send_response(302)
            self._send_identity(path)
            self.send_header("X-Linked-Size", str(path.stat().st_size))
            self.send_header("X-Linked-Etag", f'"{self._digest(path)}"')
            port = self.headers["Host"].rpartition(":")[2]  # another host name, as the hub's storage has
            self.send_header("Location", f"http://localhost:{port}/storage/{'/'.join(parts)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_file(path, with_body=with_body)

    def _send_file(self, path: Path, *, with_body: bool) -> None:
        content = path.read_bytes()
        self.send_response(200)
        self._send_identity(path)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _send_identity(self, path: Path) -> None:
        self.send_header("ETag", f'"{self._digest(path)[:40]}"')
        self.send_header("X-Repo-Commit", COMMIT)

    def _digest(self, path: Path) -> str:
        content = b"other bytes" if path.parent.name in self.damaged else path.read_bytes()
        return hashlib.sha256(content).hexdigest()

    def _send_missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def serve_hub(root: Path, *, damaged: frozenset[str] = frozenset()) -> Iterator[str]:
    """Run the server on a free port; yields its address."""
    handler = type("Handler", (HubHandler,), {"root": root, "damaged": damaged})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Part of the tests: a real HTTP server before the real service, which now and then refuses, drops and cuts."""

from __future__ import annotations

import http.client
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Fault = Callable[["Exchange"], None]
SENT_ON = ("Accept", "Content-Type", "Idempotency-Key", "Last-Event-ID")
PATIENCE = 60.0  # seconds; a bound for broken code, never waited for
SENT_BACK = ("Content-Type", "Retry-After")


class Exchange(BaseHTTPRequestHandler):
    """One request, and what becomes of it. HTTP/1.0: the connection ends with the answer."""

    proxy: FaultyProxy

    def do_GET(self) -> None:
        """As any other."""
        self._meet()

    def do_POST(self) -> None:
        """As any other."""
        self._meet()

    def do_DELETE(self) -> None:
        """As any other."""
        self._meet()

    def _meet(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.proxy.seen.append(Seen(self.command, self.path, dict(self.headers)))
        self.proxy.next_fault(self.command, self.path)(self)

    def pass_on(
        self,
        *,
        most_events: int | None = None,
        tell: bool = True,
        before_telling: Callable[[], object] | None = None,
    ) -> None:
        """Ask the service, and `tell` the client its answer, of a stream at most so many events."""
        connection = http.client.HTTPConnection(self.proxy.target)
        with closing(connection):
            headers = {name: self.headers[name] for name in SENT_ON if name in self.headers}
            connection.request(self.command, self.path, self.body, headers)
            with connection.getresponse() as answer:
                if before_telling is not None:
                    before_telling()
                if tell:
                    self._tell(answer, most_events)

    def _tell(self, answer: http.client.HTTPResponse, most_events: int | None) -> None:
        self.send_response(answer.status)
        for name in SENT_BACK:
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        events = 0
        while events != most_events and (line := answer.readline()):
            self.wfile.write(line)
            self.wfile.flush()
            events += line == b"\n"

    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]


class FaultyProxy:
    """`url` passes all on to `target`, but for the faults that are planned for a method and the end of a path."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.seen: list[Seen] = []
        self._faults: dict[tuple[str, str], deque[Fault]] = defaultdict(deque)
        handler = type("ExchangeHere", (Exchange,), {"proxy": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def plan(self, method: str, ending: str, *faults: Fault) -> None:
        """What happens to the next requests of that kind, one after the other."""
        self._faults[method, ending].extend(faults)

    def next_fault(self, method: str, path: str) -> Fault:
        """What happens to this one."""
        for (of, ending), faults in self._faults.items():
            if of == method and path.endswith(ending) and faults:
                return faults.popleft()
        return Exchange.pass_on

    def came(self, method: str, ending: str) -> list[Seen]:
        """The requests of that kind so far."""
        return [seen for seen in self.seen if seen.method == method and seen.path.endswith(ending)]


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """A proxy that is up meanwhile."""
    proxy = FaultyProxy(target)
    thread = threading.Thread(target=lambda: proxy.server.serve_forever(0.01))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()


def refused(status: int, retry_after: int | None = None, body: bytes = b"<h1>Busy</h1>") -> Fault:
    """An answer as proxies give it, in HTML."""

    def fault(exchange: Exchange) -> None:
        exchange.send_response(status)
        exchange.send_header("Content-Type", "text/html")
        if retry_after is not None:
            exchange.send_header("Retry-After", str(retry_after))
        exchange.end_headers()
        exchange.wfile.write(body)

    return fault


def dropped(exchange: Exchange) -> None:
    """The connection ends before the service has heard of it."""
    exchange.close_connection = True


def answer_lost(exchange: Exchange) -> None:
    """The service does what it was asked, and the connection ends before the client hears of it."""
    exchange.pass_on(tell=False)


def answered_after(gate: threading.Event) -> Fault:
    """The service does what it was asked, and the client hears of it when the gate opens."""

    def fault(exchange: Exchange) -> None:
        exchange.pass_on(before_telling=lambda: gate.wait(PATIENCE))

    return fault


def cut_after(events: int) -> Fault:
    """A stream that ends early."""
    return lambda exchange: exchange.pass_on(most_events=events)

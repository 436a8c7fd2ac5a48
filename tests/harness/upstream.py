"""A real HTTP upstream that remembers what reached it and echoes it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase

from tests.harness.loopback import http_server


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it reached the upstream; header names are spelled as received."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body_bytes: int

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for have, value in self.headers if have.lower() == name]


@dataclass(slots=True)
class Upstream:
    """Where it listens, and what reached it, in order."""

    port: int
    arrivals: list[Arrival] = field(default_factory=list)


@contextmanager
def running_upstream() -> Iterator[Upstream]:
    """An upstream on a port of its own."""
    arrivals: list[Arrival] = []
    with http_server(_handler(arrivals.append)) as port:
        yield Upstream(port, arrivals)


def _handler(record: Callable[[Arrival], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline:
                self.close_connection = True
            elif self.parse_request():
                self._answer()

        def _answer(self) -> None:
            # `self.path` has lost a second leading slash; the request line has not.
            target = self.requestline.split(" ")[1]
            arrival = Arrival(self.command, target, list(self.headers.items()), self._read_body())
            record(arrival)
            body = json.dumps(asdict(arrival)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _read_body(self) -> int:
            if self.headers.get("transfer-encoding", "") == "chunked":
                return _skip_chunks(self.rfile)
            return len(self.rfile.read(int(self.headers.get("content-length", "0"))))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing: what arrived is recorded."""

    return Handler


def _skip_chunks(stream: BufferedIOBase) -> int:
    """Reads a chunked body (RFC 9112 section 7.1) without trailers; its length."""
    total = 0
    while size := int(stream.readline().partition(b";")[0], 16):
        total += len(stream.read(size))
        stream.readline()
    stream.readline()
    return total

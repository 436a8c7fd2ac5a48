"""The URL where an issuer publishes its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.harness.loopback import HOST, http_server


@contextmanager
def running_jwks_endpoint(jwks: Callable[[], bytes]) -> Iterator[str]:
    """Serves what `jwks` returns at that moment; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = jwks()
            self.send_response(200)
            self.send_header("content-type", "application/jwk-set+json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing."""

    with http_server(Handler) as port:
        yield f"http://{HOST}:{port}/jwks.json"

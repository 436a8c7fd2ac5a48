"""The URL where an issuer says whether its tokens are active (RFC 7662), all in memory."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote_plus

from tests.harness.issuer import decode_base64url
from tests.harness.loopback import HOST, http_server

CLIENT_ID = "deputize: résource"
CLIENT_SECRET = "s3cret+/ %:é"


@dataclass(slots=True)
class IntrospectionEndpoint:
    """Knows every token it is asked about, unless that was revoked, and answers as it is told.

    `replies` replaces members of the answers. It answers once `open` is set, which it is at
    first. `asked` has the tokens in order, `connections` those it was asked over.
    """

    url: str = ""
    secret: str = CLIENT_SECRET
    replies: Mapping[str, object] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    connections: set[socket.socket] = field(default_factory=set)
    open: threading.Event = field(default_factory=threading.Event)

    def revoke(self, token: str) -> None:
        """Says from now on that it is not active."""
        self.revoked.add(token)

    def answer(self, token: str) -> bytes:
        """What it says of a token."""
        self.asked.append(token)
        self.open.wait()
        if token in self.revoked:
            return b'{"active": false}'
        claims = json.loads(decode_base64url(token.split(".")[1]))
        return json.dumps({"active": True, **claims, **self.replies}).encode()

    def admits(self, authorization: str) -> bool:
        """Whether these are the right name and secret."""
        scheme, _, encoded = authorization.partition(" ")
        name, _, secret = base64.b64decode(encoded).decode("ascii").partition(":")
        given = (scheme, unquote_plus(name), unquote_plus(secret))
        return given == ("Basic", CLIENT_ID, self.secret)


@contextmanager
def running_introspection_endpoint(port: int = 0) -> Iterator[IntrospectionEndpoint]:
    """Serves one; connections stay open between questions, as those of real ones do."""
    endpoint = IntrospectionEndpoint()
    endpoint.open.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode("ascii"))
            endpoint.connections.add(self.connection)
            if not endpoint.admits(self.headers["authorization"]):
                self._send(401, b"{}")
            elif form.keys() != {"token", "token_type_hint"}:
                self._send(400, b"{}")
            else:
                self._send(200, endpoint.answer(form["token"][0]))

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            # Who asked may have gone meanwhile.
            with suppress(OSError):
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing."""

    with http_server(Handler, port) as served:
        endpoint.url = f"http://{HOST}:{served}/introspect"
        try:
            yield endpoint
        finally:
            endpoint.open.set()
            for connection in endpoint.connections:
                # As when the process ends.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

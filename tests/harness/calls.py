"""HTTPS calls with a client certificate, sent exactly as written.

`http.client` sends a request target and repeated headers verbatim; friendlier clients tidy up
`//admin` and `/..%2fadmin`, which is just what must not happen here.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.harness.loopback import HOST
from tests.harness.spiffe_ca import Svid

_TIMEOUT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `headers` are sent in this order, repetitions included."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return self.headers.get(name, "")

    @property
    def problem(self) -> dict[str, object]:
        """The members of the problem document (RFC 9457); none where it is no such document."""
        if self.headers.get_content_type() != "application/problem+json":
            return {}
        members: dict[str, object] = json.loads(self.body)
        return members


class Client:
    """Whoever holds `svid`, calling `host` through the proxy on `port`."""

    def __init__(self, port: int, svid: Svid, authority_file: Path, host: str) -> None:
        self._port = port
        self._host = host
        self._context = ssl.create_default_context(cafile=authority_file)
        self._context.load_cert_chain(svid.certificate_file, svid.private_key_file)

    def send(self, call: Call) -> Answer:
        """Sends one request over a connection of its own."""
        connection = http.client.HTTPSConnection(
            HOST, self._port, timeout=_TIMEOUT_SECONDS, context=self._context
        )
        try:
            return exchange(connection, call, self._host)
        finally:
            connection.close()


def exchange(connection: http.client.HTTPConnection, call: Call, host: str) -> Answer:
    """Sends the call exactly as written, with this host, and reads the answer."""
    connection.putrequest(call.method, call.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("host", host)
    for name, value in call.headers:
        connection.putheader(name, value)
    if call.body:
        connection.putheader("content-length", str(len(call.body)))
    connection.endheaders(call.body or None)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())

"""HTTP/1.1 requests octet by octet, over connections that are kept where they can be."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from typing import Self

from tests.harness.calls import Answer
from tests.harness.loopback import HOST

_TIMEOUT_SECONDS = 15
_PLAIN = frozenset(map(chr, range(0x21, 0x7F)))


class RawClient:
    """A context with one connection at a time, with TLS where there is a `context`."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, name: str = "") -> None:
        self._port = port
        self._context = context
        self._name = name
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def send(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Sends exactly this, each character as one octet; None where no answer comes."""
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        octets = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
        is_plain = method.isalpha() and set(target) <= _PLAIN
        if not is_plain:
            # What the other side makes of it must not meet the next request.
            self._close()
        connection = self._socket = self._socket or self._connect()
        response = http.client.HTTPResponse(connection, method=method)
        try:
            connection.sendall(octets)
            response.begin()
            answer = Answer(response.status, response.headers, response.read())
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            self._close()
            return None
        if response.will_close or not is_plain:
            self._close()
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self._port), _TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return connection
        return self._context.wrap_socket(connection, server_hostname=self._name)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

"""One look at a URL: status, clock and body of the answer, bounded in size and time.

Unlike the fetcher of the service this one takes plain HTTP to anywhere, because that is how
`/readyz` is served, and gives answers other than 200. It sends no credential, follows no redirect
and uses no proxy from the environment.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import h11

from deputize.adapters.http_connection import connect, time_left

SECONDS = 5.0
MAX_BYTES = 8 * 1024 * 1024

_PORTS = {"http": 80, "https": 443}
_READ_BYTES = 64 * 1024


class LookError(Exception):
    """No answer; the message says why, and quotes no server."""


@dataclass(frozen=True, slots=True)
class Look:
    """An answer.

    `skew` is how many seconds the server's clock is ahead of ours, None without a Date; a second
    either way is rounding.
    """

    status: int
    skew: float | None
    body: bytes


def look(url: str, ca_file: str | None = None) -> Look:
    """Asks with GET.

    Raises:
        LookError: no URL of HTTP, no answer, too large, too slow.
    """
    deadline = time.monotonic() + SECONDS
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise LookError("no URL like http://host:port")
        stream = connect(
            parts.hostname, parts.port or _PORTS[parts.scheme], deadline, lambda _socket: None
        )
        with stream:
            if parts.scheme == "http":
                return _ask(stream, parts.netloc, parts.path, parts.query, deadline)
            trust = ssl.create_default_context(cafile=ca_file)
            stream.settimeout(time_left(deadline))
            with trust.wrap_socket(stream, server_hostname=parts.hostname) as secure:
                return _ask(secure, parts.netloc, parts.path, parts.query, deadline)
    except h11.ProtocolError as error:
        raise LookError(type(error).__name__) from None
    except (OSError, ValueError) as error:
        raise LookError(f"{type(error).__name__}: {error}") from None


def _ask(stream: socket.socket, host: str, path: str, query: str, deadline: float) -> Look:
    http = h11.Connection(h11.CLIENT)
    target = (path or "/") + (f"?{query}" if query else "")
    headers = [("host", host), ("accept-encoding", "identity"), ("connection", "close")]
    for event in (h11.Request(method="GET", target=target, headers=headers), h11.EndOfMessage()):
        stream.settimeout(time_left(deadline))
        stream.sendall(http.send(event) or b"")
    status, skew, body = 0, None, bytearray()
    while True:
        received = http.next_event()
        if received is h11.NEED_DATA:
            stream.settimeout(time_left(deadline))
            http.receive_data(stream.recv(_READ_BYTES))
        elif isinstance(received, h11.Response):
            status, skew = received.status_code, _skew(received)
        elif isinstance(received, h11.Data):
            body += received.data
            if len(body) > MAX_BYTES:
                raise LookError(f"larger than {MAX_BYTES} bytes")
        elif isinstance(received, h11.EndOfMessage):
            return Look(status, skew, bytes(body))
        elif not isinstance(received, h11.InformationalResponse):
            raise LookError("the connection ended before the answer")


def _skew(response: h11.Response) -> float | None:
    dates = [value for name, value in response.headers if name == b"date"]
    try:
        moment = parsedate_to_datetime(dates[0].decode("ascii")) if dates else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment.timestamp() - time.time()

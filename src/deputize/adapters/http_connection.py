"""One HTTP/1.1 connection, used again only where nothing can be left of what went before.

Rules of this file:
- A connection is used again only after an answer that was read to its end, with nothing behind it,
  and whose server did not say that it closes. What else comes between two questions is never taken
  for the answer to the second.
- Connecting and asking have one end in time, whatever their steps take. The addresses of a host
  share it: those that lead nowhere leave time for the others, and cost no more together.

Sources: RFC 9112 sections 6.3 (where an answer ends), 9.2 (data without a question), 9.3 and 9.6
(when a connection stays open).
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import h11

KEEP_SECONDS = 4.0
"""An idle connection is used again for this long; common servers close theirs after 5 s."""
MAX_HEAD_BYTES = 100 * 1024
_READ_BYTES = 64 * 1024
_OK = 200


class StatusError(Exception):
    """An answer whose status is not 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class SizeError(Exception):
    """An answer with a body that is larger than allowed."""


class Connection:
    """Asks over `stream`, which it owns, one question after the other."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._idle_since = time.monotonic()

    def ask(self, request: h11.Request, body: bytes, deadline: float, max_bytes: int) -> bytes:
        """The body of the 200 answer, until `deadline` of the monotonic clock.

        Raises:
            StatusError: another answer.
            SizeError: more than `max_bytes`.
            h11.ProtocolError: no HTTP, or the end of the connection before that of the answer.
            OSError: the connection failed, or it took too long.
        """
        events = (request, h11.Data(data=body), h11.EndOfMessage())
        self._send(b"".join(self._http.send(event) or b"" for event in events), deadline)
        answer = bytearray()
        while not isinstance(event := self._receive(deadline), h11.EndOfMessage):
            if isinstance(event, h11.Response) and event.status_code != _OK:
                raise StatusError(event.status_code)
            if isinstance(event, h11.Data):
                answer += event.data
                if len(answer) > max_bytes:
                    raise SizeError(f"larger than {max_bytes} bytes")
        return bytes(answer)

    def renew(self) -> bool:
        """After an answer: whether another question may be asked."""
        http = self._http
        is_over = http.our_state is http.their_state is h11.DONE
        if not is_over or http.trailing_data != (b"", False):
            return False
        http.start_next_cycle()
        self._idle_since = time.monotonic()
        return True

    def is_fresh(self) -> bool:
        """Before the next question: whether the last is not long ago, and nothing came since.

        Whatever came, be it the end of the connection, is no answer.
        """
        if time.monotonic() - self._idle_since > KEEP_SECONDS:
            return False
        if isinstance(self._stream, ssl.SSLSocket) and self._stream.pending():
            return False
        poll = select.poll()
        poll.register(self._stream, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Disconnects, whoever else holds the socket."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def _send(self, octets: bytes, deadline: float) -> None:
        while octets:
            self._stream.settimeout(time_left(deadline))
            octets = octets[self._stream.send(octets) :]

    def _receive(self, deadline: float) -> object:
        """What the server said next, an event of h11."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._stream.settimeout(time_left(deadline))
            self._http.receive_data(self._stream.recv(_READ_BYTES))
        return event


def connect(
    host: str, port: int, deadline: float, adopt: Callable[[socket.socket], None]
) -> socket.socket:
    """Connects to the first address of `host` that lets us, until `deadline`.

    `adopt` sees each socket before it connects.

    Raises:
        OSError: none of them did, or it took too long.
    """
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    problem = OSError("no address")
    for number, (family, kind, protocol, _name, address) in enumerate(found):
        share = time_left(deadline) / (len(found) - number)
        try:
            return _connect(socket.socket(family, kind, protocol), address, share, adopt)
        except OSError as error:
            problem = error
    raise problem


def _connect(
    stream: socket.socket,
    address: tuple[object, ...],
    seconds: float,
    adopt: Callable[[socket.socket], None],
) -> socket.socket:
    try:
        adopt(stream)
        stream.settimeout(seconds)
        stream.connect(address)
    except BaseException:
        stream.close()
        raise
    return stream


def time_left(deadline: float) -> float:
    """Seconds until then.

    Raises:
        TimeoutError: none.
    """
    left = deadline - time.monotonic()
    if not left > 0:
        raise TimeoutError("timed out")
    return left

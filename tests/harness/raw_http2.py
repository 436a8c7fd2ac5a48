"""HTTP/2 requests whose pseudo-headers are exactly as written, which other clients would refuse.

Rules of this file:
- Header fields are sent as literals without Huffman code; nothing of an answer's headers is read.

Sources: RFC 9113 sections 3.4, 4.1, 5.1.1, 6 and 8.3; RFC 7541 sections 5.1, 5.2 and 6.2.2.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from typing import Self

from tests.harness.calls import Answer
from tests.harness.loopback import HOST

_TIMEOUT_SECONDS = 15
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_WINDOW_UPDATE, _CONTINUATION = 8, 9
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_MAX_FRAME = 16384
_MORE_WINDOW = 2**31 - 65536


class RawHttp2Client:
    """A context with one connection at a time, over TLS; one request after the other."""

    def __init__(self, port: int, context: ssl.SSLContext, name: str) -> None:
        self._port = port
        self._context = context
        self._name = name
        self._socket: socket.socket | None = None
        self._stream = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def send(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Sends exactly this, `Host` as `:authority`; None where the stream is cut off.

        The answer has its body only: no status, no headers.
        """
        fields = [
            (":method", method),
            (":scheme", "https"),
            (":authority", headers["Host"]),
            (":path", target),
            *((name, value) for name, value in headers.items() if name != "Host"),
        ]
        block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)
        connection = self._socket = self._socket or self._connect()
        stream, self._stream = self._stream, self._stream + 2
        try:
            connection.sendall(b"".join(_header_frames(stream, block)))
            body = self._read_body(connection, stream)
        except (ConnectionError, ssl.SSLError):
            body = None
            self._close()
        return None if body is None else Answer(0, http.client.HTTPMessage(), body)

    def _read_body(self, connection: socket.socket, stream: int) -> bytes | None:
        body = b""
        while True:
            length, kind, flags, of = _frame_head(_read(connection, 9))
            payload = _read(connection, length)
            if kind == _GOAWAY:
                raise ConnectionError("the other side goes away")
            if kind in {_SETTINGS, _PING} and not flags & _ACK:
                connection.sendall(_frame(kind, _ACK, 0, b"" if kind == _SETTINGS else payload))
            if of != stream:
                continue
            if kind == _RST_STREAM:
                return None
            if kind == _DATA:
                body += payload
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                return body

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((HOST, self._port), _TIMEOUT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._context.wrap_socket(plain, server_hostname=self._name)
        assert connection.selected_alpn_protocol() == "h2"
        window = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _MORE_WINDOW))
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + window)
        self._stream = 1
        return connection

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _header_frames(stream: int, block: bytes) -> Iterator[bytes]:
    """One HEADERS frame that ends the request, and what does not fit into it."""
    kind, flags = _HEADERS, _END_STREAM
    while len(block) > _MAX_FRAME:
        yield _frame(kind, flags, stream, block[:_MAX_FRAME])
        block = block[_MAX_FRAME:]
        kind, flags = _CONTINUATION, 0
    yield _frame(kind, flags | _END_HEADERS, stream, block)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _frame_head(octets: bytes) -> tuple[int, int, int, int]:
    kind, flags, stream = struct.unpack(">BBI", octets[3:])
    return int.from_bytes(octets[:3]), kind, flags, stream


def _text(text: str) -> bytes:
    """A string literal: its length with a prefix of seven bits, then each character's octet."""
    octets = text.encode("latin-1")
    length, first = len(octets), 0x7F
    if length < first:
        return bytes([length]) + octets
    encoded = bytearray([first])
    length -= first
    while length >= 0x80:
        encoded.append(length % 0x80 + 0x80)
        length //= 0x80
    return bytes(encoded) + bytes([length]) + octets


def _read(connection: socket.socket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        more = connection.recv(count - len(octets))
        if not more:
            raise ConnectionError("the other side closed the connection")
        octets += more
    return octets

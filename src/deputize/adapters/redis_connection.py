"""One connection to a Redis or Valkey server, from a URL.

Rules of this file:
- The URL has one reading or is refused. It holds a password: nothing quotes it.
- No retries, and no options from the URL: each would change what the code around relies on.
- TLS checks the server's name, and trusts what was configured and nothing else.
- Of a server that does not stop talking no more is read than answers can be long.

Sources: https://www.iana.org/assignments/uri-schemes/prov/redis; RFC 3986 sections 2.1, 3.2.1.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import redis

Command = tuple[bytes | int, ...]
"""Its name and arguments."""

_TEXT = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_URL = re.compile(
    r"(?P<scheme>rediss?)://"
    rf"(?:(?P<user>{_TEXT}*):(?P<password>{_TEXT}+)@)?"
    r"(?:(?P<name>[A-Za-z0-9._-]+)|\[(?P<address>[0-9A-Fa-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/(?P<database>[0-9]{0,5}))?"
)
_CODE = re.compile("[A-Z]{1,20}")
_ANSWER_OCTETS = 4096
"""More than an answer to any of our commands has, an error with its words included."""
_GREETING_OCTETS = 4 * _ANSWER_OCTETS
"""The same for what is said while connecting."""
_PORT = 6379
_LARGEST_PORT = 65535


class RedisConnection:
    """The way to the server at `url`; each step on it takes at most `timeout_seconds`.

    Raises:
        ValueError: a `url` that is none.
        OSError: no authorities in the `ca_file`.
    """

    def __init__(self, url: str, timeout_seconds: float, ca_file: str | None) -> None:
        self._allowance = Allowance()
        self._client = _client(url, timeout_seconds, ca_file, self._allowance)

    def connect(self) -> None:
        """Connects, unless there is a connection that is open and has nothing left to read.

        Raises:
            redis.RedisError: the server cannot be reached, or lets us not in.
        """
        client = self._client
        if client.is_connected:
            try:
                # Whatever was sent before we ask is no answer of ours.
                usable = not client.can_read()
            except redis.RedisError:
                usable = False
            if not usable:
                client.disconnect()
        self._allowance.octets = _GREETING_OCTETS
        client.connect()

    def ask(self, commands: Sequence[Command]) -> Iterator[object]:
        """Sends all commands, then gives the answer to each; whoever stops before must close.

        Raises:
            redis.RedisError: no answer, or one that is an error or too long.
        """
        self._allowance.octets = len(commands) * _ANSWER_OCTETS
        self._client.send_packed_command(self._client.pack_commands(commands))
        for _ in commands:
            yield self._client.read_response()

    def close(self) -> None:
        """Disconnects."""
        self._client.disconnect()


@dataclass(slots=True)
class Allowance:
    """How much may still be read."""

    octets: int = 0


class BoundedSocket:
    """A socket that gives no more than it may, and in all else is the one it stands for."""

    def __init__(self, inner: socket.socket, allowance: Allowance) -> None:
        self._inner = inner
        self._allowance = allowance

    def recv(self, size: int) -> bytes:
        """Reads as ever; raises OSError when there was too much."""
        octets = self._inner.recv(size)
        self._count(len(octets))
        return octets

    def recv_into(self, buffer: bytearray) -> int:
        """Reads as ever; raises OSError when there was too much."""
        size = self._inner.recv_into(buffer)
        self._count(size)
        return size

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def _count(self, size: int) -> None:
        self._allowance.octets -= size
        if self._allowance.octets < 0:
            raise OSError("the answer is too long")


def describe(error: Exception) -> str:
    """What went wrong, without the server's words: they may quote a password sent to it."""
    name = type(error).__name__
    if type(error) in {redis.ConnectionError, redis.TimeoutError}:
        # The client's own words.
        return f"{name}: {error}"
    code = str(error).partition(" ")[0]
    if type(error) is redis.ResponseError and _CODE.fullmatch(code):
        return f"{name}: {code}"
    return name


def _client(
    url: str, timeout_seconds: float, ca_file: str | None, allowance: Allowance
) -> redis.Connection:
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError(
            "the URL of the store must be redis[s]://[[user]:password@]host[:port][/database], "
            "with other characters than letters, digits and -._~!$&'()*+,;= as %XX"
        )
    port = int(parts["port"] or _PORT)
    if not 0 < port <= _LARGEST_PORT:
        raise ValueError("the URL of the store has a port that is none")
    options: dict[str, Any] = {
        "host": parts["name"] or parts["address"],
        "port": port,
        "db": int(parts["database"] or 0),
        "username": _decode(parts["user"]),
        "password": _decode(parts["password"]),
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        # Nothing that an older server, or another that speaks its language, does not know.
        "protocol": 2,
        "driver_info": None,
    }
    if parts["scheme"] == "rediss":
        return _TlsConnection(ca_file, allowance, **options)
    if ca_file is not None:
        raise ValueError("a store with a CA file needs a rediss URL")
    return _Connection(allowance, **options)


class _Connection(redis.Connection):
    """The client's own, on a socket that is bounded."""

    def __init__(self, allowance: Allowance, **options: Any) -> None:  # noqa: ANN401 - redis decides
        super().__init__(**options)  # type: ignore[no-untyped-call] # redis has it untyped
        self._allowance = allowance

    def _connect(self) -> socket.socket:
        return cast("socket.socket", BoundedSocket(self._open(), self._allowance))

    def _open(self) -> socket.socket:
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call] # likewise
        return plain


class _TlsConnection(_Connection):
    """TLS. The client's own trusts the system's authorities beside a CA file, this does not."""

    def __init__(self, ca_file: str | None, allowance: Allowance, **options: Any) -> None:  # noqa: ANN401 - likewise
        super().__init__(allowance, **options)
        self._ca_file = ca_file
        # Now, for the sake of an early error.
        self._trust()

    def _open(self) -> socket.socket:
        plain = super()._open()
        try:
            return self._trust().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def _trust(self) -> ssl.SSLContext:
        """Reads the CA file each time, so that a new one needs no restart."""
        return ssl.create_default_context(cafile=self._ca_file)


def _decode(text: str | None) -> str:
    try:
        return unquote(text or "", errors="strict")
    except UnicodeDecodeError:
        raise ValueError("the URL of the store has credentials that are no UTF-8") from None

"""An HTTP client with one connection, bounded in size, that another thread can cut off.

Rules of this file:
- `https`, or `http` on loopback; no redirects, no proxies from the environment, no cookies.
- A question has one end in time, from connecting to the last byte of its answer. Looking up a name
  is what the system makes of it: whoever waits gives up.
- What a server says never gets into the text of an error: it may repeat what we sent.

Sources: RFC 9110 section 9.2; RFC 9112 sections 3.2 and 9.3.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import h11
import httpx

from deputize.adapters.http_connection import (
    Connection,
    SizeError,
    StatusError,
    connect,
    time_left,
)

_PORTS = {"https": 443, "http": 80}
_Origin = tuple[str, str, int]
"""Scheme, host and port."""


class ExchangeError(Exception):
    """No answer, or none that counts; the message says why and quotes no server."""


class RefusedError(ExchangeError):
    """An answer with another `status` than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class BoundedClient:
    """Asks one question at a time, over a connection that stays open in between.

    A question takes at most `seconds`. A connection is used only if `may_reach` says so of the
    address at its other end; that is asked before a byte is sent. With a `ca_file` only its
    authorities are trusted. `address` is the other end of the newest connection.

    Raises:
        ExchangeError: no authorities in the `ca_file`.
    """

    def __init__(
        self,
        ca_file: str | None,
        seconds: float,
        may_reach: Callable[[str], bool] = lambda _address: True,
    ) -> None:
        self.address = ""
        self._may_reach = may_reach
        self._seconds = seconds
        self._lock = threading.Lock()
        self._is_cut = False
        self._socket: socket.socket | None = None
        self._kept: tuple[_Origin, Connection] | None = None
        try:
            self._trust = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ExchangeError(f"CA file: {type(error).__name__}: {error}") from None
        self._trust.set_alpn_protocols(["http/1.1"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_cut(self) -> bool:
        """It was cut off, and answers no more."""
        return self._is_cut

    def ask(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        max_bytes: int,
        form: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of the 200 answer to a GET, or to a POST where there is a `form`.

        Raises:
            ExchangeError: refused URL, no or another answer, more than `max_bytes`, cut off.
        """
        try:
            target = _read_target(url)
            body = b"" if form is None else urlencode(form).encode("ascii")
            request = _request(target, headers, None if form is None else len(body))
            return self._exchange(target, request, body, max_bytes)
        except StatusError as error:
            raise RefusedError(error.status) from None
        except (SizeError, h11.ProtocolError, httpx.InvalidURL, OSError, ValueError) as error:
            # Whoever cut it off caused whatever error that came as.
            self._refuse_cut()
            raise ExchangeError(_describe(error)) from None

    def cut(self) -> None:
        """Ends what is going on, from any thread; whoever asks gets an error from now on."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnects. Not while a question is asked: that is what `cut` is for."""
        self.cut()
        if self._kept is not None:
            self._kept[1].close()
        with self._lock:
            if self._socket is not None:
                self._socket.close()

    def _exchange(
        self, target: httpx.URL, request: h11.Request, body: bytes, max_bytes: int
    ) -> bytes:
        deadline = time.monotonic() + self._seconds
        origin = target.scheme, target.raw_host.decode("ascii"), _port(target)
        connection = self._recall(origin) or Connection(self._open(origin, deadline))
        is_kept = False
        try:
            answer = connection.ask(request, body, deadline, max_bytes)
            # A body without a length ends with its connection, whoever ended that.
            self._refuse_cut()
            is_kept = connection.renew()
            if is_kept:
                self._kept = origin, connection
            return answer
        finally:
            if not is_kept:
                connection.close()

    def _recall(self, origin: _Origin) -> Connection | None:
        """The connection of the last question, if this one may go over it."""
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        if kept[0] == origin and kept[1].is_fresh():
            return kept[1]
        kept[1].close()
        return None

    def _open(self, origin: _Origin, deadline: float) -> socket.socket:
        scheme, host, port = origin
        stream = connect(host, port, deadline, self._adopt)
        try:
            self.address = stream.getpeername()[0]
            if not self._may_reach(self.address):
                raise ExchangeError("its address is not one that it may have")
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "http":
                return stream
            stream.settimeout(time_left(deadline))
            return self._trust.wrap_socket(stream, server_hostname=host)
        except BaseException:
            stream.close()
            raise

    def _adopt(self, stream: socket.socket) -> None:
        """Lets `cut` end it, while it connects too."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            # TLS takes the original over; shutting down a copy of it ends both.
            self._socket = stream.dup()
        self._refuse_cut()

    def _refuse_cut(self) -> None:
        if self._is_cut:
            raise ExchangeError("cut off, it took too long")


def _describe(error: Exception) -> str:
    name = type(error).__name__
    # Errors of the protocol quote what was received.
    return name if isinstance(error, h11.ProtocolError) else f"{name}: {error}"


def _request(target: httpx.URL, headers: Mapping[str, str], form_length: int | None) -> h11.Request:
    own = {"host": target.netloc.decode("ascii"), "accept-encoding": "identity"}
    if form_length is not None:
        own["content-type"] = "application/x-www-form-urlencoded"
        own["content-length"] = str(form_length)
    return h11.Request(
        method="GET" if form_length is None else "POST",
        target=target.raw_path,
        headers=list({**own, **headers}.items()),
    )


def _port(url: httpx.URL) -> int:
    return _PORTS[url.scheme] if url.port is None else url.port


def _read_target(text: str) -> httpx.URL:
    url = httpx.URL(text)
    if url.userinfo:
        raise ExchangeError("a URL with user information")
    if url.scheme == "https" and url.host:
        return url
    if url.scheme == "http" and _is_loopback(url.host):
        return url
    raise ExchangeError("only https is allowed, or http on loopback")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

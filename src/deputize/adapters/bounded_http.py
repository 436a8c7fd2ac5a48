"""An HTTP client with one connection, bounded in size, that another thread can cut off.

Rules of this file:
- `https`, or `http` on loopback; no redirects, no proxies from the environment, no cookies.
- A timeout bounds each step, not their sum: whoever waits cuts the connection in the end.
- What a server says never gets into the text of an error: it may repeat what we sent.

Sources: RFC 9110 section 9.2; RFC 9112 sections 6.3 and 9.3 (persistent connections).
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

import httpx

KEEP_SECONDS = 4.0
"""An idle connection is used again for this long; common servers close theirs after 5 s."""


class ExchangeError(Exception):
    """No answer, or none that counts; the message says why and quotes no server."""


class BoundedClient:
    """Asks one question at a time, over a connection that stays open in between.

    Each step takes at most `seconds`. A connection is used only if `may_reach` says so of the
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
        self._timeout = httpx.Timeout(seconds).as_dict()
        self._lock = threading.Lock()
        self._is_cut = False
        self._connection: socket.socket | None = None
        try:
            trust = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ExchangeError(f"CA file: {type(error).__name__}: {error}") from None
        limits = httpx.Limits(max_connections=1, keepalive_expiry=KEEP_SECONDS)
        self._transport = httpx.HTTPTransport(verify=trust, trust_env=False, limits=limits)

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
            return self._exchange(
                httpx.Request(
                    "GET" if form is None else "POST",
                    _read_target(url),
                    headers={"accept-encoding": "identity", **headers},
                    data=form,
                    extensions={"timeout": self._timeout, "trace": self._trace},
                ),
                max_bytes,
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise ExchangeError(_describe(error)) from None

    def cut(self) -> None:
        """Ends what is going on, from any thread; whoever asks gets an error from now on."""
        with self._lock:
            self._is_cut = True
            if self._connection is not None:
                with suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnects. Not while a question is asked: that is what `cut` is for."""
        self.cut()
        self._transport.close()
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _exchange(self, request: httpx.Request, max_bytes: int) -> bytes:
        response = self._transport.handle_request(request)
        try:
            if response.status_code != httpx.codes.OK:
                raise ExchangeError(f"answered {response.status_code}")
            body = bytearray()
            for chunk in response.iter_raw(16384):
                body += chunk
                if len(body) > max_bytes:
                    raise ExchangeError(f"larger than {max_bytes} bytes")
                if self._is_cut:
                    break
        finally:
            response.close()
        # A body without a length ends with its connection, whoever ended that.
        if self._is_cut:
            raise ExchangeError("cut off, it took too long")
        return bytes(body)

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Sees what the transport does (httpx, extension `trace`)."""
        if event == "connection.connect_tcp.complete":
            stream = info["return_value"]
            try:
                self._connected(stream.get_extra_info("socket"))
            except BaseException:
                stream.close()
                raise

    def _connected(self, connection: socket.socket) -> None:
        self.address = connection.getpeername()[0]
        if not self._may_reach(self.address):
            raise ExchangeError("its address is not one that it may have")
        with self._lock:
            if self._is_cut:
                raise ExchangeError("cut off, it took too long")
            if self._connection is not None:
                self._connection.close()
            # TLS takes the original over; shutting down a copy of it ends both.
            self._connection = connection.dup()


def _describe(error: Exception) -> str:
    name = type(error).__name__
    # Errors of the protocol quote what was received.
    return name if isinstance(error, httpx.ProtocolError) else f"{name}: {error}"


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

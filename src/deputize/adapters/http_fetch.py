"""Small documents over HTTPS, bounded in size and time.

Rules of this file:
- `https`, or `http` on loopback; no redirects, no proxies from the environment.
- Where to fetch comes from configuration, or from a discovery document below a configured issuer.

Sources: OpenID Connect Discovery 1.0 sections 4 and 4.3; RFC 8725 section 3.10.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import httpx

from deputize.core.jws import JwsError, read_json_object

MAX_DOCUMENT_BYTES = 512 * 1024
FETCH_SECONDS = 5.0
"""For one document, from connecting to its last byte."""

_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}


class FetchError(Exception):
    """A document could not be fetched or read; the message says why."""


def discover(issuer: str, ca_file: str | None) -> str:
    """The `jwks_uri` of an issuer, by OpenID Connect discovery.

    Raises:
        FetchError: no such document, or one that is about another issuer.
    """
    location = issuer.removesuffix("/") + "/.well-known/openid-configuration"
    try:
        document = read_json_object(fetch(location, ca_file))
    except JwsError as error:
        raise FetchError(f"discovery document: {error}") from None
    if document.get("issuer") != issuer:
        raise FetchError("discovery document is about another issuer")
    uri = document.get("jwks_uri")
    if not isinstance(uri, str):
        raise FetchError("discovery document has no jwks_uri")
    if location.startswith("https:") and not uri.startswith("https:"):
        raise FetchError("discovery over https names a jwks_uri that is not")
    return uri


def fetch(url: str, ca_file: str | None) -> bytes:
    """The body of a 200 answer.

    Raises:
        FetchError: refused scheme, no or another answer, too large, too slow.
    """
    deadline = time.monotonic() + FETCH_SECONDS
    try:
        target = httpx.URL(url)
        _check_target(target)
        trust = ssl.create_default_context(cafile=ca_file)
        with (
            httpx.Client(
                verify=trust, timeout=FETCH_SECONDS, follow_redirects=False, trust_env=False
            ) as client,
            _cut_after(FETCH_SECONDS) as trace,
            client.stream("GET", target, headers=_HEADERS, extensions={"trace": trace}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise FetchError(f"{url} answered {response.status_code}")
            body = bytearray()
            for chunk in response.iter_raw(16384):
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise FetchError(f"{url} is larger than {MAX_DOCUMENT_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise FetchError(f"{url} took longer than {FETCH_SECONDS:.0f} s")
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FetchError(f"{url}: {type(error).__name__}: {error}") from None


@contextmanager
def _cut_after(seconds: float) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Ends connections that are open for longer: a timeout bounds each read, not their sum.

    Gives the function that has to see what the client does (httpx, extension `trace`).
    """
    opened: list[socket.socket] = []
    late = threading.Event()

    def trace(event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            opened.append(info["return_value"].get_extra_info("socket").dup())
            if late.is_set():
                cut()

    def cut() -> None:
        late.set()
        for connection in opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    finally:
        timer.cancel()
        for connection in opened:
            connection.close()


def _check_target(url: httpx.URL) -> None:
    if url.userinfo:
        raise FetchError("a URL with user information")
    if url.scheme == "https" and url.host:
        return
    if url.scheme == "http" and _is_loopback(url.host):
        return
    raise FetchError("only https is allowed, or http on loopback")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from deputize.adapters import http_fetch
from deputize.adapters.http_fetch import (
    MAX_DOCUMENT_BYTES,
    Discovered,
    FetchError,
    discover,
    fetch,
    fetch_discovered,
    fetch_keys,
    is_public,
)
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.loopback import HOST, free_port, http_server
from tests.harness.scripted_server import Script, answer, drip, hang, running_server

OK = b"HTTP/1.1 200 OK\r\n"
BOUND_SECONDS = 5


def failing(url: str) -> None:
    with pytest.raises(FetchError):
        fetch(url, None)


def serving_failure(script: Script) -> None:
    with running_server(script) as url:
        failing(f"{url}/jwks.json")


def test_a_document_is_fetched() -> None:
    with running_jwks_endpoint(lambda: b'{"keys": []}') as url:
        assert fetch(url, None) == b'{"keys": []}'


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/jwks.json",
        "http://192.0.2.1/jwks.json",
        "http://127.0.0.1.example.org/",
        "http://localhost.example.org/",
        "https://user:password@issuer.example/",
        "http://user@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "https://",
        f"https://{'a' * 64}.example/",
        "",
        "http://[::1",
    ],
)
def test_only_https_or_loopback_without_credentials(url: str) -> None:
    failing(url)


def test_a_port_where_nobody_listens_is_a_failure() -> None:
    failing(f"http://127.0.0.1:{free_port()}/")


def test_a_server_whose_certificate_is_not_trusted_is_a_failure() -> None:
    with running_server(hang) as url, pytest.raises(FetchError):
        # A server without TLS at all is no better.
        fetch(url.replace("http:", "https:"), "/dev/null")


@pytest.mark.parametrize("status", ["204 No Content", "404 Not Found", "500 Oops", "206 Partial"])
def test_any_answer_but_200_is_a_failure(status: str) -> None:
    serving_failure(answer(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode()))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with running_jwks_endpoint(lambda: b"{}") as target:
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"
        serving_failure(answer(head.encode()))


def test_a_document_of_the_largest_size_is_read() -> None:
    with running_jwks_endpoint(lambda: b" " * MAX_DOCUMENT_BYTES) as url:
        assert len(fetch(url, None)) == MAX_DOCUMENT_BYTES


def test_a_larger_document_is_refused() -> None:
    with running_jwks_endpoint(lambda: b" " * (MAX_DOCUMENT_BYTES + 1)) as url:
        failing(url)


def test_who_fetches_says_how_large_a_document_may_be() -> None:
    with running_jwks_endpoint(lambda: b" " * (MAX_DOCUMENT_BYTES + 1)) as url:
        assert len(fetch(url, None, max_bytes=MAX_DOCUMENT_BYTES + 1)) == MAX_DOCUMENT_BYTES + 1
    with running_jwks_endpoint(lambda: b"{} ") as url, pytest.raises(FetchError):
        fetch(url, None, max_bytes=2)


def test_who_fetches_says_what_is_accepted() -> None:
    received: list[bytes] = []

    def script(connection: socket.socket, _over: threading.Event) -> None:
        received.append(connection.recv(65536))
        connection.sendall(OK + b"content-length: 0\r\n\r\n")

    with running_server(script) as url:
        fetch(url, None)
        fetch(url, None, accept="application/statuslist+jwt")
    assert b"accept: application/json\r\n" in received[0].lower()
    assert b"accept: application/statuslist+jwt\r\n" in received[1].lower()


def test_an_endless_document_is_refused() -> None:
    serving_failure(drip(OK + b"\r\n", b" " * 65536))


def test_a_small_document_is_never_unpacked_to_a_large_one() -> None:
    packed = gzip.compress(b" " * (64 * MAX_DOCUMENT_BYTES))
    head = b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    with running_server(answer(OK + head + packed)) as url:
        assert fetch(url, None) == packed


def test_a_connection_that_ends_early_is_a_failure() -> None:
    serving_failure(answer(OK + b"content-length: 100\r\n\r\n{}"))


def test_what_is_no_http_is_a_failure() -> None:
    serving_failure(answer(b"SSH-2.0-OpenSSH\r\n"))


@pytest.mark.parametrize(
    "script",
    [hang, drip(OK, b"x-a: b\r\n"), drip(OK + b"\r\n", b" "), drip(b"", b"H")],
    ids=["nothing", "headers", "body", "no line end"],
)
def test_a_slow_server_is_given_up(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_fetch, "FETCH_SECONDS", 0.3)
    started = time.monotonic()
    serving_failure(script)
    assert time.monotonic() - started < BOUND_SECONDS


def test_a_slow_tls_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_fetch, "FETCH_SECONDS", 0.3)
    started = time.monotonic()
    # The head of a TLS record of 16 kB, whose content then comes byte by byte.
    with running_server(drip(b"\x16\x03\x03\x40\x00", b"\x02")) as url:
        failing(url.replace("http:", "https:"))
    assert time.monotonic() - started < BOUND_SECONDS


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with running_jwks_endpoint(lambda: b"{}") as url:
        assert fetch(url, None) == b"{}"


def discovering(document: object) -> str:
    """What discovery finds; `ISSUER` in the document stands for the server's own URL."""
    url = ""

    def body() -> bytes:
        return json.dumps(document).replace("ISSUER", url).encode()

    with running_jwks_endpoint(body) as endpoint:
        url = endpoint.removesuffix("/jwks.json")
        return discover(url, None).jwks_uri.replace(url, "ISSUER")


def test_discovery_finds_the_url_of_the_keys() -> None:
    assert discovering({"issuer": "ISSUER", "jwks_uri": "ISSUER/keys"}) == "ISSUER/keys"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"},
        {"issuer": "ISSUER/", "jwks_uri": "ISSUER/keys"},
        {"jwks_uri": "ISSUER/keys"},
        {"issuer": "ISSUER"},
        {"issuer": "ISSUER", "jwks_uri": 7},
        ["ISSUER"],
    ],
)
def test_a_discovery_document_of_another_issuer_or_shape_is_refused(document: object) -> None:
    with pytest.raises(FetchError):
        discovering(document)


@contextmanager
def running_issuer(jwks_host: str = HOST) -> Iterator[tuple[str, list[str]]]:
    """An issuer whose discovery document names keys at `jwks_host`; gives what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            keys = f"http://{jwks_host}:{port}/keys"
            body = json.dumps({"issuer": issuer, "jwks_uri": keys}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the keys" if self.path == "/keys" else body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing."""

    with http_server(Handler) as port:
        issuer = f"http://{HOST}:{port}"
        yield issuer, asked


def test_keys_on_the_host_of_an_issuer_near_us_are_fetched() -> None:
    with running_issuer() as (issuer, _):
        assert fetch_discovered(issuer, None) == b"the keys"


def test_an_issuer_near_us_cannot_name_keys_on_another_host_near_us() -> None:
    # The same server by another name, which only the address it leads to gives away.
    with running_issuer("localhost") as (issuer, asked), pytest.raises(FetchError):
        fetch_discovered(issuer, None)
    assert asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_not_a_byte_is_sent_to_keys_near_us_that_an_issuer_far_away_names(scheme: str) -> None:
    received: list[bytes] = []

    def script(connection: socket.socket, _over: threading.Event) -> None:
        received.append(connection.recv(65536))

    with running_server(script) as url:
        found = Discovered(url.replace("http:", f"{scheme}:"), HOST, "198.41.0.4")
        with pytest.raises(FetchError):
            fetch_keys(found, None)
    assert b"".join(received) == b""


def test_a_name_that_leads_somewhere_else_by_now_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []

    def script(connection: socket.socket, _over: threading.Event) -> None:
        received.append(connection.recv(65536))

    with running_server(script) as url:
        port = int(url.rpartition(":")[2])
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest: real(HOST, *rest))
        with pytest.raises(FetchError):
            fetch_keys(
                Discovered(f"https://idp.example:{port}/keys", "idp.example", "198.41.0.4"), None
            )
        assert b"".join(received) == b""
        # To a URL of the configuration it would have talked.
        with pytest.raises(FetchError):
            fetch(f"https://idp.example:{port}/keys", None)
    assert b"".join(received).startswith(b"\x16\x03")


FAR, NEAR = "198.41.0.4", "10.0.0.1"


@pytest.mark.parametrize(
    ("issuer_address", "keys_host", "address", "may"),
    [
        (FAR, "idp.example", FAR, True),
        (FAR, "keys.example", FAR, True),
        (FAR, "idp.example", NEAR, False),
        (FAR, "keys.example", NEAR, False),
        (NEAR, "idp.example", NEAR, True),
        (NEAR, "idp.example", "10.9.9.9", True),
        (NEAR, "IDP.example", NEAR, True),
        (NEAR, "keys.example", FAR, True),
        (NEAR, "keys.example", NEAR, False),
    ],
)
def test_where_discovery_may_lead(
    issuer_address: str, keys_host: str, address: str, *, may: bool
) -> None:
    found = Discovered(f"https://{keys_host}/keys", "idp.example", issuer_address)
    assert found.may_lead_to(address) is may


@pytest.mark.parametrize(
    "address",
    [
        "198.41.0.4",
        "2606:4700::1111",
        "::ffff:198.41.0.4",
        "64:ff9b::198.41.0.4",
        "2002:c629:4::1",
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address that is none
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::10.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::198.41.0.4",
        "2002:a00:1::1",
        "2002:7f00:1::1",
        "2001:0:1::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "4000::1",
        "",
        "localhost",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)

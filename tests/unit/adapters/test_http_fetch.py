from __future__ import annotations

import gzip
import json
import time

import pytest

from deputize.adapters import http_fetch
from deputize.adapters.http_fetch import MAX_DOCUMENT_BYTES, FetchError, discover, fetch
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.loopback import free_port
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
        return discover(url, None).replace(url, "ISSUER")


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

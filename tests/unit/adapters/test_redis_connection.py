from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from deputize.adapters.redis_connection import Allowance, BoundedSocket, RedisConnection, describe
from tests.harness.scripted_server import Script, running_server
from tests.harness.spiffe_ca import SpiffeCa

SECONDS = 30
MUCH_OCTETS = 20_000_000
"""More than two buffers between us and a server hold, and more than may be read."""
ENDLESS = [b"+", b"-ERR ", b"$999999999999\r\n", b"*1\r\n", b"*999999999\r\n+OK\r\n"]


def read(url: str) -> tuple[str, int, int, str, str]:
    """What is made of a URL: host, port, database, user, password."""
    client = RedisConnection(url, 1, None)._client
    return client.host, client.port, client.db, client.username or "", client.password or ""


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis://store", ("store", 6379, 0, "", "")),
        ("redis://store/", ("store", 6379, 0, "", "")),
        ("redis://store.example:1/7", ("store.example", 1, 7, "", "")),
        ("redis://[::1]:65535", ("::1", 65535, 0, "", "")),
        ("redis://:pass@10.0.0.1", ("10.0.0.1", 6379, 0, "", "pass")),
        ("rediss://user:pass@store:6380", ("store", 6380, 0, "user", "pass")),
        ("redis://u%40:%2F%3a%C3%A9+@store", ("store", 6379, 0, "u@", "/:é+")),
    ],
)
def test_a_url_says_where_the_server_is(url: str, parts: tuple[str, int, int, str, str]) -> None:
    assert read(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store:6379",
        "http://store",
        "REDIS://store",
        "unix:///run/redis.sock",
        "redis://",
        "redis://:secret@",
        "redis://secret@store",
        "redis://user:@store",
        "redis://:secret:6379",
        "redis://:sec/ret@store",
        "redis://:sec#ret@store",
        "redis://:sec?ret@store",
        "redis://:sec@ret@store",
        "redis://:secret%@store",
        "redis://:secret%4@store",
        "redis://:secret%FF@store",
        "redis://:sécret@store",
        "redis://:secret@store\n",
        " redis://:secret@store",
        "redis://:secret@store:0",
        "redis://:secret@store:65536",
        "redis://:secret@store:",
        "redis://:secret@store/db",
        "redis://:secret@store/0/1",
        "redis://:secret@store?ssl_cert_reqs=none",
        "redis://:secret@store#x",
        "redis://:secret@::1",
        "redis://:secret@store,other",
    ],
)
def test_what_has_no_one_reading_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="URL of the store") as caught:
        read(url)
    assert "ret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_authorities_need_tls(tmp_path: Path) -> None:
    authority = SpiffeCa("example.org", tmp_path).certificate_file
    RedisConnection("rediss://store", 1, str(authority))
    with pytest.raises(ValueError, match="rediss"):
        RedisConnection("redis://store", 1, str(authority))


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_authorities_is_an_error_from_the_start(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OSError, match=r"."):
        RedisConnection("rediss://store", 1, str(file))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (redis.ConnectionError("refused"), "ConnectionError: refused"),
        (redis.TimeoutError("too slow"), "TimeoutError: too slow"),
        (redis.AuthenticationError("invalid password secret"), "AuthenticationError"),
        (redis.ResponseError("MISCONF secret"), "ResponseError: MISCONF"),
        (redis.ResponseError("secret"), "ResponseError"),
        (redis.ReadOnlyError("SECRET"), "ReadOnlyError"),
        (redis.InvalidResponse("Protocol Error: secret"), "InvalidResponse"),
        (ValueError("secret"), "ValueError"),
    ],
)
def test_an_error_is_described_without_the_words_of_the_server(error: Exception, text: str) -> None:
    assert describe(error) == text


class Pourer:
    """Says `first` when it is asked, then much of `endless`, until nobody wants it any more."""

    def __init__(self, first: bytes, endless: bytes) -> None:
        self.sent = 0
        self.is_over = threading.Event()
        self._first = first
        self._octets = endless * (65536 // len(endless))

    def __call__(self, connection: socket.socket, _over: threading.Event) -> None:
        try:
            connection.recv(65536)
            connection.sendall(self._first)
            while self.sent < MUCH_OCTETS:
                connection.sendall(self._octets)
                self.sent += len(self._octets)
        finally:
            self.is_over.set()


@contextmanager
def connection_to(script: Script, password: str = "") -> Iterator[RedisConnection]:
    with running_server(script) as url:
        connection = RedisConnection(url.replace("http://", f"redis://{password}"), SECONDS, None)
        try:
            yield connection
        finally:
            connection.close()


@pytest.mark.parametrize("endless", ENDLESS)
@pytest.mark.parametrize("first", [b"", b"$999999999999\r\n", b"*999999999999\r\n"])
def test_of_an_answer_without_end_little_is_read(first: bytes, endless: bytes) -> None:
    pourer = Pourer(first, endless)
    with connection_to(pourer) as connection:
        connection.connect()
        with pytest.raises((redis.RedisError, RecursionError)):
            list(connection.ask([(b"PING",)] * 100))
        connection.close()
        assert pourer.is_over.wait(SECONDS)
    assert pourer.sent < MUCH_OCTETS


@pytest.mark.parametrize("endless", ENDLESS)
def test_a_server_that_does_not_stop_greeting_is_left(endless: bytes) -> None:
    pourer = Pourer(b"", endless)
    with connection_to(pourer, ":secret@") as connection:
        with pytest.raises((redis.RedisError, RecursionError)):
            connection.connect()
        connection.close()
        assert pourer.is_over.wait(SECONDS)
    assert pourer.sent < MUCH_OCTETS


def test_many_answers_in_one_are_no_long_answer() -> None:
    def script(connection: socket.socket, _over: threading.Event) -> None:
        for _ in range(3):
            asked = connection.recv(65536)
            while asked.count(b"PING") < 256:
                asked += connection.recv(65536)
            connection.sendall((b"$1000\r\n" + b"a" * 1000 + b"\r\n") * 256)

    with connection_to(script) as connection:
        for _ in range(3):
            connection.connect()
            assert list(connection.ask([(b"PING",)] * 256)) == [b"a" * 1000] * 256


def test_a_bounded_socket_gives_what_it_may_and_no_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        bounded = BoundedSocket(ours, Allowance(5))
        assert bounded.fileno() == ours.fileno()  # type: ignore[operator] # whatever it has
        theirs.sendall(b"123456")
        assert bounded.recv(2) == b"12"
        buffer = bytearray(3)
        assert bounded.recv_into(buffer) == 3
        assert buffer == b"345"
        with pytest.raises(OSError, match="too long"):
            bounded.recv(1)
        theirs.sendall(b"7")
        with pytest.raises(OSError, match="too long"):
            bounded.recv_into(buffer)

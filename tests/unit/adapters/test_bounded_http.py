from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest

from deputize.adapters.bounded_http import BoundedClient, ExchangeError
from tests.harness.loopback import HOST
from tests.harness.polling import wait_until
from tests.harness.scripted_server import running_server

SECONDS = 10.0
OK = b"HTTP/1.1 200 OK\r\n"


def sized(body: bytes, more: bytes = b"") -> bytes:
    return OK + more + b"content-length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    head = OK + b"transfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


@contextmanager
def saying(*answers: bytes) -> Iterator[tuple[str, list[int]]]:
    """Gives these answers one after the other, and the numbers of the connections they went over.

    A connection stays open until the client closes it.
    """
    connections: list[int] = []
    left = list(answers)
    number = 0

    def script(connection: socket.socket, over: threading.Event) -> None:
        nonlocal number
        number += 1
        own = number
        while not over.is_set() and connection.recv(65536):
            connections.append(own)
            connection.sendall(left.pop(0))

    with running_server(script) as url:
        yield url, connections


def asking(client: BoundedClient, url: str) -> Callable[[], bytes]:
    return lambda: client.ask(url, {}, max_bytes=1000)


@pytest.mark.parametrize("form", [sized, chunked])
def test_a_connection_whose_answer_was_read_to_its_end_is_used_again(
    form: Callable[[bytes], bytes],
) -> None:
    with saying(form(b"1"), form(b"2")) as (url, connections), BoundedClient(None, SECONDS) as own:
        ask = asking(own, url)
        assert (ask(), ask()) == (b"1", b"2")
    assert connections == [1, 1]


@pytest.mark.parametrize(
    "first",
    [
        sized(b"1") + sized(b"surplus"),
        chunked(b"1") + sized(b"surplus"),
        sized(b"1") + b"x",
        sized(b"1", b"connection: close\r\n"),
        sized(b"1").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["an answer", "an answer behind chunks", "anything", "it closes", "HTTP/1.0"],
)
def test_what_stands_behind_an_answer_is_not_the_next_one(first: bytes) -> None:
    with saying(first, sized(b"2")) as (url, connections), BoundedClient(None, SECONDS) as own:
        ask = asking(own, url)
        assert (ask(), ask()) == (b"1", b"2")
    assert connections == [1, 2]


@pytest.mark.parametrize("first", [sized(b"1") + b"x", b"HTTP/1.1 400 No\r\n\r\n"])
def test_a_connection_that_is_not_used_again_ends_at_once(first: bytes) -> None:
    ended = threading.Event()

    def script(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(first)
        if not connection.recv(65536):
            ended.set()

    with running_server(script) as url, BoundedClient(None, SECONDS) as own:
        with suppress(ExchangeError):
            asking(own, url)()
        assert ended.wait(SECONDS)


def test_what_comes_between_two_questions_is_not_an_answer() -> None:
    asked, read, said = threading.Event(), threading.Event(), threading.Event()

    def script(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        if asked.is_set():
            connection.sendall(sized(b"2"))
            return
        asked.set()
        connection.sendall(sized(b"1"))
        read.wait(SECONDS)
        connection.sendall(sized(b"surplus"))
        said.set()
        # Until the client closes it.
        connection.recv(65536)

    with running_server(script) as url, BoundedClient(None, SECONDS) as own:
        ask = asking(own, url)
        assert ask() == b"1"
        read.set()
        assert said.wait(SECONDS)
        assert ask() == b"2"


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 400 No\r\ncontent-length: 200\r\n\r\n" + sized(b"surplus"),
        b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n",
        sized(b" " * 1001),
        chunked(b" " * 1001) + sized(b"surplus"),
    ],
    ids=["another status", "another status, no body", "large", "large in chunks"],
)
def test_a_connection_whose_answer_was_not_read_is_closed(first: bytes) -> None:
    with saying(first, sized(b"2")) as (url, connections), BoundedClient(None, SECONDS) as own:
        ask = asking(own, url)
        with pytest.raises(ExchangeError):
            ask()
        assert ask() == b"2"
    assert connections == [1, 2]


@contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Where connecting takes for ever: what is sent there is dropped, as the queue is full."""
    with socket.create_server((HOST, 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


@contextmanager
def leading_to(*addresses: tuple[str, int]) -> Iterator[None]:
    """Lets every name lead to these."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_: found)
        yield


def test_addresses_that_lead_nowhere_share_the_time_of_a_question() -> None:
    with silent_address() as silent, BoundedClient(None, 0.5) as own, leading_to(*[silent] * 20):
        started = time.monotonic()
        with pytest.raises(ExchangeError):
            own.ask("https://idp.example/", {}, max_bytes=1000)
        assert time.monotonic() - started < 2


def test_addresses_that_lead_nowhere_leave_time_for_one_that_answers() -> None:
    with (
        silent_address() as silent,
        saying(sized(b"1")) as (url, _),
        BoundedClient(None, 3) as own,
        leading_to(silent, silent, (HOST, int(url.rpartition(":")[2]))),
    ):
        assert asking(own, url.replace(HOST, "localhost"))() == b"1"


def test_who_connects_can_be_cut_off() -> None:
    with (
        silent_address() as silent,
        BoundedClient(None, SECONDS) as own,
        leading_to(silent, silent),
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(asking(own, "https://idp.example/"))
        wait_until(lambda: own._socket is not None, SECONDS)
        own.cut()
        with pytest.raises(ExchangeError):
            asked.result(2)


def test_another_server_is_asked_over_another_connection() -> None:
    with (
        saying(sized(b"1"), sized(b"3")) as (first, connections),
        saying(sized(b"2")) as (second, _),
        BoundedClient(None, SECONDS) as own,
    ):
        assert [asking(own, url)() for url in (first, second, first)] == [b"1", b"2", b"3"]
    assert connections == [1, 2]

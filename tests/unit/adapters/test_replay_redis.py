from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from deputize.adapters import replay_redis
from deputize.adapters.ending import LONGEST_SECONDS
from deputize.adapters.replay_redis import RedisReplayStore
from deputize.adapters.replay_store import Use
from tests.harness.polling import wait_until
from tests.harness.scripted_server import Script, answer, drip, hang, running_server

NOW = 1_800_000_000.0
PATIENCE_SECONDS = 0.2
BOUND_SECONDS = 5
"""Longer than anything here may take, on a busy machine."""
PONG = b"+PONG\r\n"


@contextmanager
def running_store(
    url: str, *, seconds: float = BOUND_SECONDS, prefix: str = "p:"
) -> Iterator[RedisReplayStore]:
    store = RedisReplayStore(
        url.replace("http:", "redis:"), prefix=prefix, timeout_seconds=seconds, ca_file=None
    )
    store.start()
    try:
        yield store
    finally:
        store.stop()


def consume(store: RedisReplayStore, key: str = "a", timeout: float = BOUND_SECONDS) -> Use:
    return store.consume(key, NOW + 60, NOW, timeout)


def talk(reply: Callable[[bytes], bytes]) -> Script:
    """Answers what is asked; an empty answer ends the connection."""

    def script(connection: socket.socket, _over: threading.Event) -> None:
        while asked := connection.recv(65536):
            replied = reply(asked)
            if not replied:
                return
            connection.sendall(replied)

    return script


class Listener:
    """A server's side of the talk: keeps what it is asked, answers a use with `to_set`."""

    def __init__(self, to_set: bytes = b"+OK\r\n", to_ping: bytes = PONG) -> None:
        self.heard: list[bytes] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._to_set = to_set
        self._to_ping = to_ping

    def __call__(self, asked: bytes) -> bytes:
        assert self.may_answer.wait(BOUND_SECONDS)
        self.heard.append(asked)
        return self._to_set if b"SET" in asked else self._to_ping

    @property
    def uses(self) -> list[bytes]:
        return [asked for asked in self.heard if b"SET" in asked]


@pytest.mark.parametrize(("to_set", "use"), [(b"+OK\r\n", Use.FRESH), (b"$-1\r\n", Use.USED)])
def test_the_server_says_whether_a_use_is_the_first(to_set: bytes, use: Use) -> None:
    with running_server(talk(Listener(to_set))) as url, running_store(url) as store:
        assert consume(store) is use
        assert store.problem == ""


def test_a_use_is_noted_in_one_command_for_longer_than_its_time() -> None:
    listener = Listener()
    with running_server(talk(listener)) as url, running_store(url) as store:
        store.consume("key", NOW + 1.0001, NOW, BOUND_SECONDS)
    words = listener.uses[0].split(b"\r\n")[2::2]
    assert words == [b"SET", b"p:key", b"1", b"NX", b"PX", b"61001"]


@pytest.mark.parametrize(
    "to_set",
    [
        b":1\r\n",
        b":0\r\n",
        b"+QUEUED\r\n",
        b"+ok\r\n",
        b"$0\r\n\r\n",
        b"*0\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-MOVED 3999 127.0.0.1:6381\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"",
    ],
)
def test_any_other_answer_says_nothing(to_set: bytes) -> None:
    with running_server(talk(Listener(to_set))) as url, running_store(url) as store:
        assert consume(store) is Use.UNKNOWN
        assert store.problem


@pytest.mark.parametrize("to_ping", [b"+OK\r\n", b"-NOAUTH Authentication required.\r\n", b""])
def test_a_server_that_does_not_even_say_pong_is_asked_nothing(to_ping: bytes) -> None:
    listener = Listener(to_ping=to_ping)
    with running_server(talk(listener)) as url, running_store(url) as store:
        wait_until(lambda: store.problem != "not connected yet", BOUND_SECONDS)
        assert consume(store) is Use.UNKNOWN
    assert listener.uses == []


@pytest.mark.parametrize(
    "script",
    [hang, drip(b"", b"+"), drip(PONG, b"+"), answer(PONG), answer(b"")],
    ids=["nothing", "no line end", "after one line", "closed", "closed at once"],
)
def test_whoever_asks_waits_no_longer_than_the_store_allows(script: Script) -> None:
    with (
        running_server(script) as url,
        running_store(url, seconds=PATIENCE_SECONDS) as store,
    ):
        started = time.monotonic()
        assert consume(store) is Use.UNKNOWN
        assert time.monotonic() - started < BOUND_SECONDS


def test_while_the_server_fails_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_redis, "PAUSE_SECONDS", BOUND_SECONDS)
    listener = Listener(b"")
    with running_server(talk(listener)) as url, running_store(url) as store:
        consume(store)
        heard = len(listener.heard)
        assert [consume(store) for _ in range(100)] == [Use.UNKNOWN] * 100
        assert len(listener.heard) == heard


def test_a_question_is_never_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_redis, "PAUSE_SECONDS", 0.01)
    listener = Listener(b"")
    with running_server(talk(listener)) as url, running_store(url) as store:
        assert consume(store) is Use.UNKNOWN
        heard = len(listener.heard)
        # It is reached again, and asked whether it is there.
        wait_until(lambda: len(listener.heard) > heard, BOUND_SECONDS)
        assert len(listener.uses) == 1


def test_a_question_that_nobody_waits_for_any_more_is_not_sent() -> None:
    listener = Listener()
    listener.may_answer.clear()
    with running_server(talk(listener)) as url, running_store(url, seconds=600) as store:
        started = time.monotonic()
        assert consume(store, "late", timeout=0.01) is Use.UNKNOWN
        assert time.monotonic() - started < BOUND_SECONDS
        listener.may_answer.set()
        # One who had little time gives nobody else less.
        assert consume(store, "next") is Use.FRESH
    assert not any(b"late" in use for use in listener.uses)


def test_an_answer_that_nobody_asked_for_is_no_answer() -> None:
    listener = Listener(b"$-1\r\n", PONG + b"+OK\r\n")
    with running_server(talk(listener)) as url, running_store(url) as store:
        assert consume(store) is Use.USED


def test_a_name_that_is_not_found_in_time_holds_up_one_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = threading.Event()

    def look_up(*_arguments: object) -> list[object]:
        found.wait(BOUND_SECONDS)
        return []

    monkeypatch.setattr(replay_redis, "PAUSE_SECONDS", BOUND_SECONDS)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with running_store("redis://store.example", seconds=PATIENCE_SECONDS) as store:
        started = time.monotonic()
        assert [consume(store) for _ in range(100)] == [Use.UNKNOWN] * 100
        assert time.monotonic() - started < BOUND_SECONDS
        found.set()


@pytest.mark.parametrize(
    "until", [NOW, NOW - 1, -math.inf, math.inf, math.nan, NOW + 2 * LONGEST_SECONDS]
)
@pytest.mark.parametrize("timeout", [BOUND_SECONDS, 0, -1, math.nan])
def test_without_a_time_to_come_or_to_wait_nothing_is_asked(until: float, timeout: float) -> None:
    listener = Listener()
    with running_server(talk(listener)) as url, running_store(url) as store:
        assert store.consume("a", until, NOW, timeout) is Use.UNKNOWN
        if timeout != BOUND_SECONDS:
            assert consume(store, timeout=timeout) is Use.UNKNOWN
    assert listener.uses == []


def test_a_key_that_is_not_ascii_is_the_callers_fault_and_nobody_elses() -> None:
    with running_server(talk(Listener())) as url, running_store(url) as store:
        with pytest.raises(ValueError, match="ascii"):
            consume(store, "kéy")
        assert consume(store) is Use.FRESH


def test_too_many_who_wait_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_redis, "_MOST_WAITING", 0)
    listener = Listener()
    with running_server(talk(listener)) as url, running_store(url) as store:
        assert consume(store) is Use.UNKNOWN
    assert listener.uses == []


def test_a_server_is_asked_whether_it_is_there_when_nobody_else_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_redis, "IDLE_SECONDS", 0.01)
    listener = Listener()
    with running_server(talk(listener)) as url, running_store(url):
        wait_until(lambda: len(listener.heard) > 3, BOUND_SECONDS)


def test_a_stopped_store_says_nothing_at_once() -> None:
    with running_server(talk(Listener())) as url:
        with running_store(url) as store:
            assert consume(store) is Use.FRESH
        started = time.monotonic()
        assert consume(store, "b") is Use.UNKNOWN
        assert time.monotonic() - started < BOUND_SECONDS


def test_stopping_lets_those_who_wait_go() -> None:
    listener = Listener()
    listener.may_answer.clear()
    uses: list[Use] = []
    with running_server(talk(listener)) as url, running_store(url) as store:
        waiting = threading.Thread(target=lambda: uses.append(consume(store)))
        waiting.start()
        wait_until(store._waiting.qsize, BOUND_SECONDS)
        stopping = threading.Thread(target=store.stop)
        stopping.start()
        wait_until(store._stopping.is_set, BOUND_SECONDS)
        listener.may_answer.set()
        waiting.join(BOUND_SECONDS)
        stopping.join(BOUND_SECONDS)
    assert uses == [Use.UNKNOWN]


def test_a_store_that_was_never_started_says_nothing_and_can_be_stopped() -> None:
    store = RedisReplayStore("redis://store", prefix="", timeout_seconds=0.01, ca_file=None)
    assert consume(store) is Use.UNKNOWN
    store.stop()


def test_words_of_the_server_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    quoting = b"-ERR unknown command 'AUTH', with args beginning with: 'hunter2'\r\n"
    with (
        running_server(talk(lambda _asked: quoting)) as url,
        running_store(url.replace("//", "//:hunter2@")) as store,
    ):
        assert consume(store) is Use.UNKNOWN
        wait_until(lambda: store.problem == "ResponseError", BOUND_SECONDS)
    assert "hunter2" not in caplog.text

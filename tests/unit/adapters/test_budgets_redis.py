from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from deputize.adapters import replay_redis
from deputize.adapters.budget_store import Spent
from deputize.adapters.ending import LONGEST_SECONDS
from deputize.adapters.replay_redis import RedisReplayStore
from deputize.adapters.replay_store import Use
from tests.harness.polling import wait_until
from tests.harness.scripted_server import running_server

NOW = 1_800_000_000.0
BOUND_SECONDS = 5
"""Longer than anything here may take, on a busy machine."""
PONG = b"+PONG\r\n"
QUEUED = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n"


def counted(used: int) -> bytes:
    """A server's answers to a use that makes so many."""
    return QUEUED + b"*2\r\n:%d\r\n:1\r\n" % used


class Listener:
    """A server that keeps what it is asked and answers the use of a budget with `to_spend`.

    An empty answer ends the connection.
    """

    def __init__(self, to_spend: bytes) -> None:
        self.spends: list[bytes] = []
        self._to_spend = to_spend

    def __call__(self, connection: socket.socket, _over: threading.Event) -> None:
        while asked := connection.recv(65536):
            if b"MULTI" in asked:
                while b"EXEC" not in asked:
                    asked += connection.recv(65536)
                self.spends.append(asked)
                if not self._to_spend:
                    return
                connection.sendall(self._to_spend)
            else:
                connection.sendall(b"+OK\r\n" if b"SET" in asked else PONG)


@contextmanager
def store_at(listener: Listener, *, seconds: float = BOUND_SECONDS) -> Iterator[RedisReplayStore]:
    with running_server(listener) as url:
        store = RedisReplayStore(
            url.replace("http:", "redis:"), prefix="p:", timeout_seconds=seconds, ca_file=None
        )
        store.start()
        try:
            yield store
        finally:
            store.stop()


def spend(store: RedisReplayStore, *, limit: int = 2, timeout: float = BOUND_SECONDS) -> Spent:
    return store.spend("budget:a", limit, 3600, NOW + 0.5, timeout)


@pytest.mark.parametrize(
    ("used", "limit", "said"),
    [
        (1, 2, Spent.WITHIN),
        (2, 2, Spent.WITHIN),
        (3, 2, Spent.EXHAUSTED),
        (2**62, 2, Spent.EXHAUSTED),
        (1, 0, Spent.EXHAUSTED),
    ],
)
def test_the_server_says_how_many_there_were(used: int, limit: int, said: Spent) -> None:
    with store_at(Listener(counted(used))) as store:
        assert spend(store, limit=limit) is said
        assert store.problem == ""


def test_a_use_and_its_expiry_are_one_transaction() -> None:
    listener = Listener(counted(1))
    with store_at(listener) as store:
        spend(store)
    name = b"p:window:budget:a:3600:%d" % (NOW + 3600)
    words = [line for line in listener.spends[0].split(b"\r\n") if line[:1] not in {b"*", b"$"}]
    assert words[:-1] == [b"MULTI", b"INCR", name, b"PEXPIRE", name, b"3659500", b"EXEC"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"+OK\r\n",
        b"+QUEUED\r\n" * 3 + b"*2\r\n:1\r\n:1\r\n",
        b"+OK\r\n:1\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
        QUEUED + b"*-1\r\n",
        QUEUED + b"*0\r\n",
        QUEUED + b"*1\r\n:1\r\n",
        QUEUED + b"*3\r\n:1\r\n:1\r\n:1\r\n",
        QUEUED + b"*2\r\n:1\r\n:0\r\n",
        QUEUED + b"*2\r\n:0\r\n:1\r\n",
        QUEUED + b"*2\r\n:-1\r\n:1\r\n",
        QUEUED + b"*2\r\n$1\r\n1\r\n:1\r\n",
        QUEUED + b"*2\r\n$-1\r\n:1\r\n",
        QUEUED + b"*2\r\n-WRONGTYPE not a count\r\n:1\r\n",
        QUEUED + b"*2\r\n:1\r\n-ERR no expiry\r\n",
        QUEUED + b":1\r\n",
        QUEUED + b"-EXECABORT Transaction discarded because of previous errors.\r\n",
        b"+OK\r\n-OOM command not allowed.\r\n+QUEUED\r\n-EXECABORT\r\n",
        b"-NOPERM this user has no permissions to run the 'multi' command\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
    ],
)
def test_any_other_answer_says_nothing(answer: bytes) -> None:
    # What is missing of an answer is waited for.
    with store_at(Listener(answer), seconds=0.5) as store:
        assert spend(store) is Spent.UNKNOWN
        wait_until(lambda: store.problem, BOUND_SECONDS)


def test_a_use_is_never_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_redis, "PAUSE_SECONDS", 0.01)
    listener = Listener(b"")
    with store_at(listener) as store:
        assert spend(store) is Spent.UNKNOWN
        wait_until(lambda: not store.problem, BOUND_SECONDS)
        assert len(listener.spends) == 1


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("window", [60, 0, -60, int(LONGEST_SECONDS) + 1])
def test_without_a_time_or_a_window_nothing_is_asked(now: float, window: int) -> None:
    listener = Listener(counted(1))
    with store_at(listener) as store:
        assert store.spend("a", 2, window, now, BOUND_SECONDS) is Spent.UNKNOWN
        if window != 60:
            assert store.spend("a", 2, window, NOW, BOUND_SECONDS) is Spent.UNKNOWN
    assert listener.spends == []


@pytest.mark.parametrize("timeout", [0, -1, math.nan])
def test_without_a_time_to_wait_nothing_is_asked(timeout: float) -> None:
    listener = Listener(counted(1))
    with store_at(listener) as store:
        assert spend(store, timeout=timeout) is Spent.UNKNOWN
    assert listener.spends == []


def test_a_key_that_is_not_ascii_is_the_callers_fault_and_nobody_elses() -> None:
    with store_at(Listener(counted(1))) as store:
        with pytest.raises(ValueError, match="ascii"):
            store.spend("kéy", 2, 60, NOW, BOUND_SECONDS)
        assert spend(store) is Spent.WITHIN


def test_a_store_answers_both_kinds_of_question_over_one_connection() -> None:
    with store_at(Listener(counted(1))) as store:
        for number in range(3):
            assert spend(store) is Spent.WITHIN
            assert store.consume(str(number), NOW + 60, NOW, BOUND_SECONDS) is Use.FRESH


def test_those_who_wait_are_asked_for_in_more_than_one_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_redis, "_LARGEST_BATCH", 1)
    listener = Listener(counted(1))
    with store_at(listener) as store, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: spend(store), range(16))) == {Spent.WITHIN}
    assert [asked.count(b"EXEC") for asked in listener.spends] == [1] * 16

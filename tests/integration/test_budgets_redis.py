"""Budgets shared by replicas through a real Redis or Valkey."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deputize.adapters.budget_store import Spent
from deputize.adapters.redis_questions import CLOCK_MARGIN_SECONDS
from deputize.adapters.replay_redis import RedisReplayStore
from deputize.adapters.replay_store import Use
from tests.harness.polling import wait_until
from tests.harness.redis_server import RedisServer

SECONDS = 15
PATIENCE_SECONDS = 0.5
NOW = 1_800_000_000.0
WINDOW = 3600
NAME = f"p:window:budget:a:{WINDOW}:{int(NOW) + WINDOW}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, password="hunter2") as running:
        yield running


@contextmanager
def running_store(
    server: RedisServer, *, seconds: float = SECONDS, prefix: str = "p:"
) -> Iterator[RedisReplayStore]:
    store = RedisReplayStore(server.url, prefix=prefix, timeout_seconds=seconds, ca_file=None)
    store.start()
    try:
        yield store
    finally:
        store.stop()


def spend(store: RedisReplayStore, key: str = "a", limit: int = 2, now: float = NOW) -> Spent:
    return store.spend(f"budget:{key}", limit, WINDOW, now, SECONDS)


def test_all_replicas_together_get_no_more_than_the_limit(server: RedisServer) -> None:
    together = threading.Barrier(8)

    def spend_many(store: RedisReplayStore) -> list[Spent]:
        together.wait(SECONDS)
        return [spend(store, limit=150) for _ in range(50)]

    with (
        running_store(server) as one,
        running_store(server) as other,
        ThreadPoolExecutor(8) as pool,
    ):
        said = Counter(
            spent for spents in pool.map(spend_many, [one, other] * 4) for spent in spents
        )
    assert said == {Spent.WITHIN: 150, Spent.EXHAUSTED: 250}


def test_what_one_replica_used_up_another_refuses_until_the_next_window(
    server: RedisServer,
) -> None:
    with running_store(server) as one, running_store(server) as other:
        assert [spend(one), spend(one)] == [Spent.WITHIN] * 2
        assert spend(other, now=NOW + WINDOW - 1) is Spent.EXHAUSTED
        assert spend(other, "b") is Spent.WITHIN
        assert spend(other, now=NOW + WINDOW) is Spent.WITHIN
        assert spend(one, now=NOW + WINDOW) is Spent.WITHIN
        assert spend(one, now=NOW + WINDOW) is Spent.EXHAUSTED


def test_the_server_counts_until_the_window_ends_and_the_margin(server: RedisServer) -> None:
    with running_store(server) as store, server.client() as client:
        for seconds in (WINDOW, 100):
            assert spend(store, now=NOW + WINDOW - seconds) is Spent.WITHIN
            remembered = client.pttl(NAME)
            assert isinstance(remembered, int)
            assert 0 <= (seconds + CLOCK_MARGIN_SECONDS) * 1000 - remembered < SECONDS * 1000


def test_nothing_stays_for_ever(server: RedisServer) -> None:
    with running_store(server) as store, server.client() as client:
        for number in range(20):
            spend(store, str(number))
            spend(store, "a", now=NOW + number * WINDOW)
        names = list(client.scan_iter())
        assert len(names) == 40
        assert all(client.pttl(name) > 0 for name in names)


def test_another_prefix_shares_nothing(server: RedisServer) -> None:
    with running_store(server) as one, running_store(server, prefix="q:") as other:
        assert spend(one, limit=1) is Spent.WITHIN
        assert [spend(other, limit=1) for _ in range(2)] == [Spent.WITHIN, Spent.EXHAUSTED]


def test_uses_and_budgets_share_one_connection(server: RedisServer) -> None:
    with running_store(server) as store, server.client() as client:
        for number in range(20):
            assert store.consume(f"token:{number}", NOW + 60, NOW, SECONDS) is Use.FRESH
            assert spend(store, limit=20) is Spent.WITHIN
        clients = client.info("clients")
    assert isinstance(clients, dict)
    assert clients["connected_clients"] == 2


def test_many_questions_of_both_kinds_at_once_get_their_own_answers(server: RedisServer) -> None:
    with running_store(server) as store, ThreadPoolExecutor(16) as pool:

        def ask_both(number: int) -> tuple[Use, Spent, Use]:
            return (
                store.consume(f"token:{number}", NOW + 60, NOW, SECONDS),
                spend(store, str(number)),
                store.consume(f"token:{number}", NOW + 60, NOW, SECONDS),
            )

        assert set(pool.map(ask_both, range(400))) == {(Use.FRESH, Spent.WITHIN, Use.USED)}


def test_without_its_server_a_store_counts_nothing(server: RedisServer) -> None:
    with running_store(server, seconds=PATIENCE_SECONDS) as store:
        assert spend(store) is Spent.WITHIN
        server.kill()
        assert [spend(store) for _ in range(50)] == [Spent.UNKNOWN] * 50
        server.start()
        wait_until(lambda: not store.problem, SECONDS)
        # The server kept nothing: a budget starts anew.
        assert [spend(store) for _ in range(3)] == [*[Spent.WITHIN] * 2, Spent.EXHAUSTED]


def test_a_server_that_hangs_lets_nobody_in_and_counts_those_who_asked(
    server: RedisServer,
) -> None:
    with running_store(server, seconds=PATIENCE_SECONDS) as store:
        assert spend(store) is Spent.WITHIN
        server.suspend()
        assert spend(store) is Spent.UNKNOWN
        wait_until(lambda: store.problem, SECONDS)
        server.resume()
        wait_until(lambda: not store.problem, SECONDS)
        assert spend(store) is Spent.EXHAUSTED


def test_a_full_server_lets_nobody_in(server: RedisServer) -> None:
    with running_store(server) as store, server.client() as client:
        client.config_set("maxmemory", "1")
        assert spend(store) is Spent.UNKNOWN
        client.config_set("maxmemory", "0")
        wait_until(lambda: not store.problem, SECONDS)
        assert not client.exists(NAME)
        assert [spend(store) for _ in range(3)] == [*[Spent.WITHIN] * 2, Spent.EXHAUSTED]


def test_what_is_no_count_lets_nobody_in(server: RedisServer) -> None:
    with running_store(server) as store, server.client() as client:
        client.set(NAME, "many")
        assert spend(store) is Spent.UNKNOWN


def test_a_copy_of_a_server_lets_nobody_in(server: RedisServer) -> None:
    with running_store(server) as store, server.client() as client:
        client.replicaof("127.0.0.1", str(server.port))
        assert spend(store) is Spent.UNKNOWN

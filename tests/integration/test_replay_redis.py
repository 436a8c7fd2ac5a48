"""Uses shared by replicas through a real Redis or Valkey."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deputize.adapters import replay_redis
from deputize.adapters.redis_questions import CLOCK_MARGIN_SECONDS
from deputize.adapters.replay_redis import RedisReplayStore
from deputize.adapters.replay_store import Use
from tests.harness.polling import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.spiffe_ca import SpiffeCa

SECONDS = 15
PATIENCE_SECONDS = 0.5
NOW = 1_800_000_000.0
REPLICAS, THREADS, KEYS = 2, 4, 200

REPLICA = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from deputize.adapters.replay_redis import RedisReplayStore

url, threads, keys = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = RedisReplayStore(url, prefix="shared:", timeout_seconds=30, ca_file=None)
store.start()
assert store.consume(sys.argv[4], 60, 0, 30) == "fresh"
print("ready", flush=True)
sys.stdin.readline()

def use_all(_):
    return [store.consume(f"key {number}", 60, 0, 30).value for number in range(keys)]

with ThreadPoolExecutor(threads) as pool:
    print(json.dumps(list(pool.map(use_all, range(threads)))), flush=True)
store.stop()
"""
"""A process of its own: says when it is ready, waits for a line, then uses every key."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, password="hunter2") as running:
        yield running


@contextmanager
def running_store(
    url: str, *, seconds: float = SECONDS, ca_file: Path | None = None, prefix: str = "p:"
) -> Iterator[RedisReplayStore]:
    store = RedisReplayStore(
        url, prefix=prefix, timeout_seconds=seconds, ca_file=str(ca_file) if ca_file else None
    )
    store.start()
    try:
        yield store
    finally:
        store.stop()


def consume(store: RedisReplayStore, key: str = "a", seconds: float = 60) -> Use:
    return store.consume(key, NOW + seconds, NOW, SECONDS)


def test_of_all_uses_by_all_replicas_one_is_fresh(server: RedisServer) -> None:
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-c", REPLICA, server.url, str(THREADS), str(KEYS), str(n)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for n in range(REPLICAS)
        ]
        for replica in replicas:
            stack.callback(replica.kill)
            assert replica.stdout is not None
            assert replica.stdout.readline() == "ready\n"
        for replica in replicas:
            assert replica.stdin is not None
            replica.stdin.write("go\n")
            replica.stdin.flush()
        outputs = [replica.communicate(timeout=60)[0] for replica in replicas]
    by_thread = [uses for output in outputs for uses in json.loads(output)]
    assert len(by_thread) == REPLICAS * THREADS
    for uses in zip(*by_thread, strict=True):
        assert sorted(uses) == [Use.FRESH, *[Use.USED] * (REPLICAS * THREADS - 1)]


def test_the_server_remembers_for_the_time_and_the_margin(server: RedisServer) -> None:
    with running_store(server.url) as store, server.client() as client:
        assert consume(store, seconds=100) is Use.FRESH
        assert consume(store, seconds=5000) is Use.USED
        remembered = client.pttl("p:a")
    assert isinstance(remembered, int)
    assert 0 <= (100 + CLOCK_MARGIN_SECONDS) * 1000 - remembered < SECONDS * 1000


def test_another_prefix_shares_nothing(server: RedisServer) -> None:
    with running_store(server.url) as one, running_store(server.url, prefix="q:") as other:
        assert [consume(one), consume(other), consume(other)] == [Use.FRESH, Use.FRESH, Use.USED]


def test_a_store_has_one_connection(server: RedisServer) -> None:
    with running_store(server.url) as store, server.client() as client:
        for number in range(20):
            assert consume(store, str(number)) is Use.FRESH
        clients = client.info("clients")
    assert isinstance(clients, dict)
    assert clients["connected_clients"] == 2


def test_without_its_server_a_store_says_nothing_and_soon(server: RedisServer) -> None:
    with running_store(server.url, seconds=PATIENCE_SECONDS) as store:
        assert consume(store) is Use.FRESH
        server.kill()
        started = time.monotonic()
        assert [consume(store, str(number)) for number in range(100)] == [Use.UNKNOWN] * 100
        assert time.monotonic() - started < SECONDS
        server.start()
        wait_until(lambda: not store.problem, SECONDS)
        assert [consume(store, "b"), consume(store, "b")] == [Use.FRESH, Use.USED]


def test_a_server_that_was_away_between_two_uses_is_missed_by_nobody(server: RedisServer) -> None:
    with running_store(server.url) as store:
        assert consume(store) is Use.FRESH
        server.kill()
        server.start()
        assert consume(store, "b") is Use.FRESH


def test_a_server_that_hangs_lets_nobody_in_then_or_later(server: RedisServer) -> None:
    with running_store(server.url, seconds=PATIENCE_SECONDS) as store:
        assert consume(store, "before") is Use.FRESH
        server.suspend()
        started = time.monotonic()
        assert consume(store) is Use.UNKNOWN
        assert time.monotonic() - started < SECONDS
        wait_until(lambda: store.problem, SECONDS)
        server.resume()
        wait_until(lambda: not store.problem, SECONDS)
        # It had the question all the time, and answered it when nobody listened any more.
        assert [consume(store), consume(store, "before")] == [Use.USED, Use.USED]
        assert consume(store, "after") is Use.FRESH


@pytest.mark.parametrize("password", ["", "other", "hunter22"])
def test_a_wrong_password_says_nothing_and_is_logged_once(
    server: RedisServer,
    password: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_redis, "PAUSE_SECONDS", 0.01)
    caplog.set_level(logging.DEBUG)
    with server.client() as client, running_store(server.url_with(password)) as store:
        assert consume(store) is Use.UNKNOWN
        wait_until(lambda: connections(client.info("stats")) > 5, SECONDS)
        assert store.problem == "AuthenticationError"
        assert not client.exists("p:a")
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == [
        "replay store: AuthenticationError"
    ]


def connections(stats: object) -> int:
    """How many the server has had."""
    assert isinstance(stats, dict)
    return int(stats["total_connections_received"])


def test_a_full_server_lets_nobody_in(server: RedisServer) -> None:
    with running_store(server.url) as store, server.client() as client:
        assert consume(store) is Use.FRESH
        client.config_set("maxmemory", "1")
        assert consume(store, "b") is Use.UNKNOWN
        client.config_set("maxmemory", "0")
        wait_until(lambda: not store.problem, SECONDS)
        assert [consume(store, "a"), consume(store, "b")] == [Use.USED, Use.FRESH]


def test_a_copy_of_a_server_lets_nobody_in(server: RedisServer) -> None:
    with running_store(server.url) as store, server.client() as client:
        client.replicaof("127.0.0.1", str(server.port))
        assert consume(store) is Use.UNKNOWN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the files of another authority."""
    made = tmp_path / "other"
    made.mkdir()
    return made


def test_tls_trusts_the_given_authorities(tmp_path: Path) -> None:
    authority = SpiffeCa("example.org", tmp_path)
    with (
        RedisServer(tmp_path, password="hunter2", authority=authority) as server,
        running_store(server.url, ca_file=authority.certificate_file) as store,
    ):
        assert [consume(store), consume(store)] == [Use.FRESH, Use.USED]
        server.kill()
        server.start()
        assert consume(store, "b") is Use.FRESH


def test_tls_trusts_nobody_else(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = SpiffeCa("example.org", tmp_path)
    other = SpiffeCa("example.org", folder).certificate_file
    with RedisServer(tmp_path, authority=authority) as server:
        with running_store(server.url) as store:
            assert consume(store) is Use.UNKNOWN
        # The system trusts it: enough where nothing else was said.
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate_file))
        with running_store(server.url) as store:
            assert consume(store, "b") is Use.FRESH
        with running_store(server.url, ca_file=other) as store:
            assert consume(store) is Use.UNKNOWN


def test_tls_checks_the_name_of_the_server(tmp_path: Path) -> None:
    authority = SpiffeCa("example.org", tmp_path)
    with RedisServer(tmp_path, authority=authority) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with running_store(url, ca_file=authority.certificate_file) as store:
            assert consume(store) is Use.UNKNOWN


def test_new_authorities_are_trusted_without_a_restart(tmp_path: Path, folder: Path) -> None:
    authority = SpiffeCa("example.org", tmp_path)
    trusted = SpiffeCa("example.org", folder).certificate_file
    with (
        RedisServer(tmp_path, authority=authority) as server,
        running_store(server.url, ca_file=trusted) as store,
    ):
        assert consume(store) is Use.UNKNOWN
        trusted.write_bytes(authority.certificate_file.read_bytes())
        wait_until(lambda: not store.problem, SECONDS)
        assert consume(store) is Use.FRESH

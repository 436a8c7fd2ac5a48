from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from deputize.adapters import http_fetch, refresher
from deputize.adapters.http_fetch import MAX_DOCUMENT_BYTES, FetchError, fetch
from deputize.adapters.refresher import Refresher, Taken
from deputize.core.jws import JwsError
from deputize.core.keys import Algorithm, parse_jwk_set
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.polling import wait_until
from tests.harness.scripted_server import hang, running_server
from tests.harness.world import ISSUER_URL

SECONDS = 10


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "RETRY_SECONDS", 0.01)


@dataclass(slots=True)
class Endpoint:
    """An issuer's key URL that counts how often it is asked, and can be told what to say."""

    issuer: Issuer = field(default_factory=lambda: Issuer(ISSUER_URL))
    body: bytes | None = None
    asked: int = 0
    open: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> bytes:
        body = self.issuer.jwks() if self.body is None else self.body
        self.asked += 1
        self.open.wait(SECONDS)
        return body


@dataclass(slots=True)
class Rings:
    """What was published, newest last. Each set of keys is good for `seconds`."""

    published: list[set[str]] = field(default_factory=list)
    seconds: float = math.inf

    def take(self, octets: bytes, now: float) -> Taken:
        assert abs(now - time.time()) < SECONDS
        try:
            keys, left_out = parse_jwk_set(octets, tuple(Algorithm))
        except JwsError as error:
            raise FetchError(str(error)) from None
        return Taken(
            lambda: self.published.append(set(keys)),
            tuple(left_out),
            "" if keys else "nothing in it",
            self.seconds,
        )

    @property
    def key_ids(self) -> set[str]:
        return self.published[-1] if self.published else set()


@pytest.fixture
def endpoint() -> Endpoint:
    endpoint = Endpoint()
    endpoint.open.set()
    return endpoint


@pytest.fixture
def rings() -> Rings:
    return Rings()


@contextmanager
def fetching(
    endpoint: Endpoint, rings: Rings, refresh: float = 3600, cooldown: float = 3600
) -> Iterator[Refresher]:
    """The keys of the endpoint, after the first fetch."""
    with (
        running_jwks_endpoint(endpoint.answer) as url,
        running(url, rings, refresh, cooldown) as keys,
    ):
        wait(lambda: keys.status.fetched_at or keys.status.error != "not fetched yet")
        yield keys


@contextmanager
def running(
    url: str, rings: Rings, refresh: float = 3600, cooldown: float = 3600
) -> Iterator[Refresher]:
    keys = Refresher(
        "keys",
        read=lambda: fetch(url, None),
        take=rings.take,
        refresh=refresh,
        cooldown=cooldown,
    )
    keys.start()
    try:
        yield keys
    finally:
        keys.stop()
        keys._thread.join(SECONDS)


def wait(check: Callable[[], object]) -> None:
    wait_until(lambda: bool(check()), SECONDS)


def test_keys_are_fetched_at_once(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        assert rings.key_ids == {"k1"}
        assert keys.status.error == ""
        assert 0 <= keys.age() < SECONDS


def test_before_the_first_fetch_there_is_no_age() -> None:
    keys = Refresher("keys", read=bytes, take=Rings().take, refresh=60, cooldown=60)
    assert math.isnan(keys.age())


def test_a_new_key_is_seen_at_the_next_refresh(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings, refresh=0.02):
        endpoint.issuer.rotate("k2")
        wait(lambda: rings.key_ids == {"k1", "k2"})
        endpoint.issuer.withdraw("k1")
        wait(lambda: rings.key_ids == {"k2"})


def test_an_unknown_key_is_found_by_one_fetch(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.issuer.rotate("k2")
        keys.refetch(SECONDS)
        assert rings.key_ids == {"k1", "k2"}
        assert endpoint.asked == 2


def test_a_flood_of_unknown_keys_makes_one_fetch_per_cool_down(
    endpoint: Endpoint, rings: Rings
) -> None:
    with fetching(endpoint, rings) as keys:

        def flood() -> None:
            for _ in range(100):
                keys.refetch(SECONDS)

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert endpoint.asked == 2


def test_after_the_cool_down_another_fetch_is_made(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings, cooldown=0.05) as keys:

        def asked_again() -> bool:
            keys.refetch(SECONDS)
            return endpoint.asked >= 3

        wait(asked_again)


def test_all_who_miss_a_key_at_once_wait_for_the_same_fetch(
    endpoint: Endpoint, rings: Rings
) -> None:
    seen: list[set[str]] = []
    with fetching(endpoint, rings) as keys:
        endpoint.issuer.rotate("k2")
        endpoint.open.clear()

        def miss() -> None:
            keys.refetch(SECONDS)
            seen.append(rings.key_ids)

        threads = [threading.Thread(target=miss) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait(lambda: endpoint.asked == 2)
        endpoint.open.set()
        for thread in threads:
            thread.join()
    assert seen == [{"k1", "k2"}] * 4
    assert endpoint.asked == 2


def test_a_fetch_that_had_begun_before_does_not_count(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.open.clear()
        keys.poke()
        wait(lambda: endpoint.asked == 2)
        endpoint.issuer.rotate("k2")
        waiting = threading.Thread(target=keys.refetch, args=(SECONDS,))
        waiting.start()
        wait(keys._wake.is_set)
        endpoint.open.set()
        waiting.join()
        assert rings.key_ids == {"k1", "k2"}
        assert endpoint.asked == 3


def test_waiting_for_a_slow_source_is_bounded_for_all_together(
    endpoint: Endpoint, rings: Rings
) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.open.clear()
        started = time.monotonic()
        for _ in range(1000):
            keys.refetch(0.05)
        assert time.monotonic() - started < SECONDS / 2
        endpoint.open.set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"keys": 7}',
        b'{"keys": []',
        b"\xff",
        b" " * (MAX_DOCUMENT_BYTES + 1),
    ],
    ids=["empty", "html", "list", "wrong", "cut off", "binary", "too large"],
)
def test_the_last_good_keys_stay_when_fetching_fails(
    endpoint: Endpoint, rings: Rings, body: bytes
) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.body = body
        keys.refetch(SECONDS)
        wait(lambda: keys.status.error)
        assert rings.key_ids == {"k1"}
        assert keys.status.fetched_at is not None


def test_after_a_failure_fetching_goes_on(endpoint: Endpoint, rings: Rings) -> None:
    endpoint.body = b"<html>"
    with fetching(endpoint, rings) as keys:
        assert rings.published == []
        endpoint.body = None
        wait(lambda: rings.key_ids == {"k1"})
        wait(lambda: keys.status.error == "")


def test_an_empty_set_revokes_all_keys_and_is_reported(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.body = b'{"keys": []}'
        keys.refetch(SECONDS)
        wait(lambda: keys.status.error)
        assert rings.key_ids == set()


def test_keys_left_out_are_reported(endpoint: Endpoint, rings: Rings) -> None:
    document = json.loads(endpoint.issuer.jwks())
    document["keys"].append({"kty": "oct", "k": "c2VjcmV0", "kid": "k9"})
    endpoint.body = json.dumps(document).encode()
    with fetching(endpoint, rings) as keys:
        wait(lambda: keys.status.left_out)
        assert rings.key_ids == {"k1"}
        assert len(keys.status.left_out) == 1


def test_after_stopping_nothing_is_published(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.open.clear()
        keys.poke()
        wait(lambda: endpoint.asked == 2)
        keys.stop()
        endpoint.open.set()
        keys._thread.join(SECONDS)
        assert len(rings.published) == 1


def test_a_hanging_source_does_not_delay_another(endpoint: Endpoint, rings: Rings) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(running_server(hang))
        slow = Refresher(
            "slow", read=lambda: fetch(url, None), take=rings.take, refresh=60, cooldown=60
        )
        slow.start()
        stack.callback(slow.stop)
        stack.enter_context(fetching(endpoint, rings))
        assert rings.key_ids == {"k1"}
        assert slow.status.fetched_at is None


def test_a_url_that_may_not_be_fetched_is_reported(rings: Rings) -> None:
    with running("http://192.0.2.1/jwks.json", rings) as keys:
        wait(lambda: keys.status.error not in {"", "not fetched yet"})
        assert rings.published == []


def test_whoever_waits_for_the_first_fetch_sees_what_it_gave(
    endpoint: Endpoint, rings: Rings
) -> None:
    with running_jwks_endpoint(endpoint.answer) as url, running(url, rings) as keys:
        keys.wait_for_first(SECONDS)
        assert rings.key_ids == {"k1"}
        # It needs no second one, and neither does one who missed something before it began.
        keys.wait_for_first(SECONDS)
        assert endpoint.asked == 1


def test_the_wait_for_the_first_fetch_is_bounded(
    rings: Rings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_fetch, "FETCH_SECONDS", 0.5)
    with running_server(hang) as url, running(url, rings) as keys:
        started = time.monotonic()
        keys.wait_for_first(0.05)
        assert time.monotonic() - started < SECONDS / 2
        assert keys.status.fetched_at is None


def test_what_is_good_for_a_short_time_is_fetched_before_it_ends(
    endpoint: Endpoint, rings: Rings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "LEAST_PAUSE_SECONDS", 0.01)
    rings.seconds = 0.05
    with fetching(endpoint, rings):
        wait(lambda: endpoint.asked >= 3)


def test_a_fault_of_ours_does_not_end_the_thread(rings: Rings) -> None:
    bodies = [b"", b""]

    def read() -> bytes:
        if bodies:
            bodies.pop()
            raise RuntimeError("a fault on purpose")
        return Issuer(ISSUER_URL).jwks()

    counted: list[bool] = []
    keys = Refresher(
        "keys", read=read, take=rings.take, refresh=3600, cooldown=60, on_fetch=counted.append
    )
    keys.start()
    wait(lambda: rings.key_ids == {"k1"})
    keys.stop()
    keys._thread.join(SECONDS)
    assert counted == [False, False, True]


def test_whoever_misses_something_before_the_first_fetch_ended_waits_for_it_only(
    endpoint: Endpoint, rings: Rings
) -> None:
    endpoint.open.clear()
    with running_jwks_endpoint(endpoint.answer) as url, running(url, rings) as keys:
        wait(lambda: endpoint.asked == 1)
        waiting = [threading.Thread(target=keys.refetch, args=(SECONDS,)) for _ in range(4)]
        for thread in waiting:
            thread.start()
        endpoint.open.set()
        for thread in waiting:
            thread.join()
        assert rings.key_ids == {"k1"}
        assert endpoint.asked == 1
        keys.refetch(SECONDS)
        assert endpoint.asked == 2


def test_whoever_waits_is_let_go_when_it_stops(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.open.clear()
        waiting = threading.Thread(target=keys.refetch, args=(3600,))
        waiting.start()
        wait(lambda: endpoint.asked == 2)
        keys.stop()
        # Long before the fetch fails.
        waiting.join(http_fetch.FETCH_SECONDS / 4)
        assert not waiting.is_alive()
        endpoint.open.set()


def test_what_cannot_be_published_is_tried_again(endpoint: Endpoint) -> None:
    faults = [RuntimeError("a fault on purpose")]
    published: list[str] = []

    def publish() -> None:
        if faults:
            raise faults.pop()
        published.append("keys")

    keys = Refresher(
        "keys",
        read=endpoint.answer,
        take=lambda _octets, _now: Taken(publish),
        refresh=3600,
        cooldown=60,
    )
    keys.start()
    wait(lambda: published)
    wait(lambda: keys.status.error == "")
    keys.stop()
    keys._thread.join(SECONDS)


def test_a_count_that_fails_does_not_end_the_thread(endpoint: Endpoint, rings: Rings) -> None:
    counted: list[bool] = []

    def count(succeeded: bool) -> None:  # noqa: FBT001 - a callback
        counted.append(succeeded)
        if len(counted) == 1:
            raise RuntimeError("a fault on purpose")

    keys = Refresher(
        "keys", read=endpoint.answer, take=rings.take, refresh=3600, cooldown=60, on_fetch=count
    )
    keys.start()
    wait(lambda: len(counted) == 2)
    keys.stop()
    keys._thread.join(SECONDS)

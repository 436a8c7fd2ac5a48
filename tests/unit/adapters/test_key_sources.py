from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from deputize.adapters import key_sources
from deputize.adapters.http_fetch import MAX_DOCUMENT_BYTES
from deputize.adapters.key_sources import IssuerKeys, KeySettings
from deputize.core.keys import Algorithm, KeyRing
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.polling import wait_until
from tests.harness.scripted_server import hang, running_server
from tests.harness.world import ISSUER_URL

SECONDS = 10


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sources, "RETRY_SECONDS", 0.01)


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
    """What was published, newest last."""

    published: list[KeyRing] = field(default_factory=list)

    def publish(self, issuer: str, ring: KeyRing) -> None:
        assert issuer == ISSUER_URL
        self.published.append(ring)

    @property
    def key_ids(self) -> set[str]:
        return set(self.published[-1].keys) if self.published else set()


@pytest.fixture
def endpoint() -> Endpoint:
    endpoint = Endpoint()
    endpoint.open.set()
    return endpoint


@pytest.fixture
def rings() -> Rings:
    return Rings()


SETTINGS = KeySettings(
    issuer=ISSUER_URL,
    algorithms=tuple(Algorithm),
    file=None,
    url=None,
    discovery=False,
    ca_file=None,
    refresh=3600.0,
    cooldown=3600.0,
    stale_after=86400.0,
)


@contextmanager
def fetching(
    endpoint: Endpoint, rings: Rings, refresh: float = 3600, cooldown: float = 3600
) -> Iterator[IssuerKeys]:
    """The keys of the endpoint, after the first fetch."""
    with running_jwks_endpoint(endpoint.answer) as url:
        settings = replace(SETTINGS, url=url, refresh=refresh, cooldown=cooldown)
        with running(settings, rings) as keys:
            wait(lambda: keys.status.fetched_at or keys.status.error != "not fetched yet")
            yield keys


@contextmanager
def running(settings: KeySettings, rings: Rings) -> Iterator[IssuerKeys]:
    keys = IssuerKeys(settings, rings.publish)
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
        assert (keys.status.usable, keys.status.error) == (1, "")
        assert 0 <= keys.age() < SECONDS


def test_before_the_first_fetch_there_is_no_age() -> None:
    assert math.isnan(IssuerKeys(SETTINGS, lambda _issuer, _ring: None).age())


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
        assert keys.status.usable == 1


def test_after_a_failure_fetching_goes_on(endpoint: Endpoint, rings: Rings) -> None:
    endpoint.body = b"<html>"
    with fetching(endpoint, rings) as keys:
        assert rings.published == []
        endpoint.body = None
        wait(lambda: rings.key_ids == {"k1"})
        wait(lambda: keys.status.error == "")


def test_a_ring_is_good_for_the_stale_time_after_its_fetch(
    endpoint: Endpoint, rings: Rings
) -> None:
    before = time.time()
    with fetching(endpoint, rings):
        assert before <= rings.published[0].usable_until - SETTINGS.stale_after <= time.time()


def test_an_empty_set_revokes_all_keys_and_is_reported(endpoint: Endpoint, rings: Rings) -> None:
    with fetching(endpoint, rings) as keys:
        endpoint.body = b'{"keys": []}'
        keys.refetch(SECONDS)
        wait(lambda: keys.status.usable == 0)
        assert rings.key_ids == set()
        assert keys.status.error


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
        slow = IssuerKeys(replace(SETTINGS, url=url), rings.publish)
        slow.start()
        stack.callback(slow.stop)
        stack.enter_context(fetching(endpoint, rings))
        assert rings.key_ids == {"k1"}
        assert slow.status.fetched_at is None


def test_keys_are_found_by_discovery() -> None:
    issuer, published = Issuer(ISSUER_URL), Rings()
    url = ""

    def both_documents() -> bytes:
        return json.dumps(
            {"issuer": url, "jwks_uri": f"{url}/keys", **json.loads(issuer.jwks())}
        ).encode()

    with running_jwks_endpoint(both_documents) as endpoint_url:
        url = endpoint_url.removesuffix("/jwks.json")
        settings = replace(SETTINGS, issuer=url, discovery=True)
        keys = IssuerKeys(settings, lambda _issuer, ring: published.published.append(ring))
        keys.start()
        wait(lambda: published.key_ids == {"k1"})
        keys.stop()
        keys._thread.join(SECONDS)


def test_a_url_that_may_not_be_fetched_is_reported(rings: Rings) -> None:
    settings = replace(SETTINGS, url="http://192.0.2.1/jwks.json")
    with running(settings, rings) as keys:
        wait(lambda: keys.status.error not in {"", "not fetched yet"})
        assert rings.published == []


def test_a_key_file_is_read_again_when_poked(tmp_path: Path, rings: Rings) -> None:
    issuer, path = Issuer(ISSUER_URL), tmp_path / "jwks.json"
    path.write_bytes(issuer.jwks())
    with running(replace(SETTINGS, file=str(path)), rings) as keys:
        wait(lambda: rings.key_ids == {"k1"})
        issuer.rotate("k2")
        path.write_bytes(issuer.jwks())
        keys.poke()
        wait(lambda: rings.key_ids == {"k1", "k2"})


@pytest.mark.parametrize("prepare", [lambda _path: None, Path.mkdir], ids=["missing", "folder"])
def test_a_key_file_that_cannot_be_read_is_reported(
    tmp_path: Path, rings: Rings, prepare: Callable[[Path], None]
) -> None:
    path = tmp_path / "jwks.json"
    prepare(path)
    with running(replace(SETTINGS, file=str(path)), rings) as keys:
        wait(lambda: keys.status.error != "not fetched yet")
        assert rings.published == []


def test_a_huge_key_file_is_refused(tmp_path: Path, rings: Rings) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(b" " * (MAX_DOCUMENT_BYTES + 1))
    with running(replace(SETTINGS, file=str(path)), rings) as keys:
        wait(lambda: keys.status.error != "not fetched yet")
        assert rings.published == []

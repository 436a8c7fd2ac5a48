from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from deputize.adapters.telemetry import Telemetry
from deputize.config.issuer_schema import Issuer as IssuerSettings
from deputize.core.trust import TrustedIssuer
from deputize.server import status_keeper
from deputize.server.state import State
from deputize.server.status_keeper import StatusKeeper
from tests.harness.identity_provider import STATUSES, IdentityProvider, running_identity_provider
from tests.harness.issuer import Issuer
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL, make_key_ring, make_trusted_issuer

SECONDS = 10
MOST = 2
TRUSTED = make_trusted_issuer()


@dataclass(slots=True)
class World:
    """A keeper of the lists of one provider."""

    provider: IdentityProvider
    state: State
    keeper: StatusKeeper
    keys_wanted: list[str] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, str]:
        return ISSUER_URL, self.provider.statuses.uri

    def use(self, trusted: TrustedIssuer = TRUSTED, **status_lists: object) -> None:
        """Configures the lists of the issuer; an empty configuration has none."""
        document: dict[str, object] = {
            "issuer": ISSUER_URL,
            "audiences": ["orders"],
            "keys": {"file": "jwks.json"},
        }
        if status_lists:
            document["statusLists"] = {**self.provider.status_lists, **status_lists}
        self.keeper.use_issuers([IssuerSettings.model_validate(document)], {ISSUER_URL: trusted})

    def is_known(self, name: tuple[str, str] | None = None) -> bool:
        return (name or self.name) in self.state.fetched.status_lists

    def publish_keys(self) -> None:
        ring = make_key_ring(self.provider.issuer, usable_until=time.time() + 3600)
        self.state.publish_ring(ISSUER_URL, ring)


@pytest.fixture
def world() -> Iterator[World]:
    with running_identity_provider(Issuer(ISSUER_URL)) as provider:
        state = State(None)
        wanted: list[str] = []

        def refetch_keys(issuer: str, _timeout: float) -> None:
            wanted.append(issuer)
            built.publish_keys()

        keeper = StatusKeeper(state, Telemetry("grpcio"), refetch_keys)
        built = World(provider, state, keeper, wanted)
        built.publish_keys()
        built.use(maxLists=MOST)
        yield built
        keeper.stop()


def wait(check: Callable[[], bool]) -> None:
    wait_until(check, SECONDS)


def test_a_list_is_fetched_when_it_is_first_asked_for(world: World) -> None:
    assert world.provider.asked[STATUSES] == 0
    world.keeper.refetch(world.name, SECONDS)
    assert world.is_known()
    assert world.provider.asked[STATUSES] == 1


def test_all_who_ask_at_once_wait_for_the_same_fetch(world: World) -> None:
    seen: list[bool] = []

    def ask() -> None:
        world.keeper.refetch(world.name, SECONDS)
        seen.append(world.is_known())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8
    assert world.provider.asked[STATUSES] <= 2


def test_a_list_that_is_missed_again_is_not_fetched_again_at_once(world: World) -> None:
    for _ in range(50):
        world.keeper.refetch(world.name, SECONDS)
    assert world.provider.asked[STATUSES] <= 2


OUTSIDE = ["", "../deny.json", "./1", "a/../../deny.json", "a//b", "/x", "1/", "a/.b"]
AMBIGUOUS = ["%2e%2e/x", "1?x=1", "1#x", "\\x"]


@pytest.mark.parametrize("rest", [*OUTSIDE, *AMBIGUOUS])
def test_what_could_lead_out_of_a_prefix_is_not_fetched(world: World, rest: str) -> None:
    before = sum(world.provider.asked.values())
    world.keeper.refetch((ISSUER_URL, f"{world.provider.url}/status/{rest}"), SECONDS)
    assert world.keeper.statuses() == {}
    assert sum(world.provider.asked.values()) == before


def test_a_list_outside_the_prefixes_or_of_another_issuer_is_not_fetched(world: World) -> None:
    world.keeper.refetch((ISSUER_URL, f"{world.provider.url}/jwks.json"), SECONDS)
    world.keeper.refetch(("https://other.example", world.provider.statuses.uri), SECONDS)
    assert world.keeper.statuses() == {}


def test_many_lists_cause_few_fetches_and_threads(world: World) -> None:
    threads = threading.active_count()
    for number in range(1000):
        world.keeper.refetch((ISSUER_URL, f"{world.provider.url}/status/n{number}"), 0.001)
    assert len(world.keeper.statuses()) == MOST
    wait(lambda: threading.active_count() <= threads + 2 * MOST + 2)
    assert sum(world.provider.asked.values()) <= 2 * MOST


def test_the_oldest_list_makes_room_after_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_keeper, "COOLDOWN_SECONDS", 0.0)
    world.keeper.refetch(world.name, SECONDS)
    others = [(ISSUER_URL, f"{world.provider.url}/status/n{number}") for number in range(MOST)]
    for name in others:
        world.keeper.refetch(name, SECONDS)
    assert set(world.keeper.statuses()) == set(others)
    assert not world.is_known()


def test_a_list_of_another_signer_counts_nothing(world: World) -> None:
    world.provider.statuses.issuer = Issuer(ISSUER_URL)
    world.keeper.refetch(world.name, SECONDS)
    assert not world.is_known()
    assert world.keeper.statuses()[world.name].error


def test_a_list_under_a_new_key_makes_the_keys_be_fetched_first(world: World) -> None:
    world.provider.issuer.rotate("k2")
    world.keeper.refetch(world.name, SECONDS)
    assert world.is_known()
    assert world.keys_wanted == [ISSUER_URL]


def test_a_list_is_good_for_the_longest_age_or_its_own(world: World) -> None:
    world.keeper.refetch(world.name, SECONDS)
    known = world.state.fetched.status_lists
    assert 0 < known[world.name].usable_until - time.time() <= 10
    world.provider.statuses.claims["ttl"] = 2
    world.keeper.use_issuers([], {})
    world.use(maxLists=MOST)
    world.keeper.refetch(world.name, SECONDS)
    assert 0 < world.state.fetched.status_lists[world.name].usable_until - time.time() <= 2


def test_a_list_too_large_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StatusKeeper, "max_bytes", 100)
    world.keeper.refetch(world.name, SECONDS)
    assert not world.is_known()


def test_a_list_in_a_file_is_read_without_being_asked_for(world: World, tmp_path: Path) -> None:
    file = tmp_path / "list.jwt"
    uri = "urn:statuses:1"
    world.provider.statuses.uri = uri
    file.write_bytes(world.provider.statuses.token())
    world.use(files={uri: str(file)})
    wait(lambda: world.is_known((ISSUER_URL, uri)))
    assert sum(world.provider.asked.values()) == 0


def test_lists_of_an_issuer_that_has_none_any_more_are_dropped(world: World) -> None:
    world.keeper.refetch(world.name, SECONDS)
    world.use()
    assert not world.is_known()
    assert world.keeper.statuses() == {}


def test_other_settings_of_the_issuer_keep_the_list(world: World) -> None:
    world.keeper.refetch(world.name, SECONDS)
    world.use(replace(TRUSTED, digest="another"), maxLists=MOST)
    assert world.is_known()


def test_a_list_in_a_file_makes_room_for_no_other(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_keeper, "COOLDOWN_SECONDS", 0.0)
    world.keeper.refetch(world.name, SECONDS)
    file = tmp_path / "list.jwt"
    file.write_bytes(world.provider.statuses.token())
    world.use(maxLists=1, files={world.provider.statuses.uri: str(file)})
    wait(world.is_known)
    for number in range(3):
        world.keeper.refetch((ISSUER_URL, f"{world.provider.url}/status/n{number}"), SECONDS)
    assert world.is_known()
    assert len(world.keeper.statuses()) == 2


def test_where_fewer_lists_are_kept_the_oldest_go(world: World) -> None:
    newest = (ISSUER_URL, f"{world.provider.url}/status/n1")
    for name in (world.name, newest):
        world.keeper.refetch(name, SECONDS)
    world.use(maxLists=1)
    assert set(world.keeper.statuses()) == {newest}
    assert not world.is_known()


def test_a_list_whose_server_is_gone_is_used_until_it_is_too_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_keeper, "COOLDOWN_SECONDS", 0.0)
    world.keeper.refetch(world.name, SECONDS)
    usable_until = world.state.fetched.status_lists[world.name].usable_until
    world.provider.is_down.set()
    world.keeper.refetch(world.name, SECONDS)
    wait(lambda: world.keeper.statuses()[world.name].error != "")
    assert world.state.fetched.status_lists[world.name].usable_until == usable_until


def test_a_shorter_age_counts_at_once(world: World) -> None:
    world.use(maxLists=MOST, maxAgeSeconds=1000)
    world.keeper.refetch(world.name, SECONDS)
    usable_until = world.state.fetched.status_lists[world.name].usable_until
    world.provider.is_down.set()
    world.use(maxLists=MOST, maxAgeSeconds=100)
    assert world.state.fetched.status_lists[world.name].usable_until == usable_until - 900
    # Longer again counts from the next good fetch.
    world.use(maxLists=MOST, maxAgeSeconds=1000)
    assert world.state.fetched.status_lists[world.name].usable_until == usable_until - 900


def test_an_older_list_does_not_replace_a_newer_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_keeper, "COOLDOWN_SECONDS", 0.0)
    now = int(time.time())
    world.provider.statuses.claims.update(iat=now, exp=now + 3600)
    world.keeper.refetch(world.name, SECONDS)
    world.provider.statuses.claims["iat"] = now - 60
    world.keeper.refetch(world.name, SECONDS)
    wait(lambda: world.keeper.statuses()[world.name].error != "")
    assert world.state.fetched.status_lists[world.name].issued_at == now

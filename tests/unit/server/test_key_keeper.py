from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deputize.adapters.telemetry import Telemetry
from deputize.config.loader import Loaded, load
from deputize.server.key_keeper import KeyKeeper, wanted_keys
from deputize.server.state import State
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL

SECONDS = 10
OTHER_URL = "https://other.example"


@dataclass(slots=True)
class World:
    """A keeper, and configurations whose key files are in `folder`."""

    folder: Path
    state: State
    telemetry: Telemetry
    keeper: KeyKeeper

    def use(self, *changes: tuple[str, str]) -> None:
        loaded = self.loaded(*changes)
        self.keeper.use(wanted_keys(loaded.service, loaded.compiled.issuers))

    def loaded(self, *changes: tuple[str, str]) -> Loaded:
        text = SERVICE
        for old, new in changes:
            text = changed(text, old, new)
        policy = (self.folder / "policies" / "orders.yaml").read_text()
        if OTHER_URL in text:
            policy = policy.replace(ISSUER_URL, OTHER_URL)
        return load(write_world(self.folder, service=text, policy=policy))

    def key_ids(self, issuer: str = ISSUER_URL) -> set[str]:
        ring = self.state.fetched.key_rings.get(issuer)
        return set(ring.keys) if ring else set()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state, telemetry = State(None), Telemetry("grpcio")
    keeper = KeyKeeper(state, telemetry)
    write_world(tmp_path, issuer=Issuer(ISSUER_URL))
    (tmp_path / "other.json").write_bytes(Issuer(ISSUER_URL, key_id="k2").jwks())
    yield World(tmp_path, state, telemetry, keeper)
    keeper.stop()


def wait(check: Callable[[], bool]) -> None:
    wait_until(check, SECONDS)


def age_of(world: World, issuer: str) -> float | None:
    labels = {"kind": "keys", "name": issuer}
    return world.telemetry.registry.get_sample_value("deputize_source_age_seconds", labels)


def test_the_keys_of_every_configured_issuer_are_kept(world: World) -> None:
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    age = age_of(world, ISSUER_URL)
    assert age is not None
    assert not math.isnan(age)
    wait(lambda: world.keeper.statuses()[ISSUER_URL].error == "")


def test_the_same_settings_keep_the_same_keys_without_a_fetch(world: World) -> None:
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    (world.folder / "jwks.json").unlink()
    world.use(("delaySeconds: 0", "delaySeconds: 1"))
    assert world.key_ids() == {"k1"}


def test_another_refresh_time_keeps_the_ring(world: World) -> None:
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    (world.folder / "jwks.json").unlink()
    world.use(("jwks.json", "jwks.json\n        refreshSeconds: 60"))
    assert world.key_ids() == {"k1"}


def test_another_source_drops_the_ring_at_once(world: World) -> None:
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    world.use(("jwks.json", "missing.json"))
    assert world.key_ids() == set()
    world.use(("jwks.json", "other.json"))
    wait(lambda: world.key_ids() == {"k2"})


def test_an_issuer_that_is_gone_leaves_nothing_behind(world: World) -> None:
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    world.use((f"issuer: {ISSUER_URL}", f"issuer: {OTHER_URL}"))
    assert world.key_ids() == set()
    assert set(world.keeper.statuses()) == {OTHER_URL}
    assert age_of(world, ISSUER_URL) is None


def test_a_missing_key_of_an_unknown_issuer_is_nobodys_business(world: World) -> None:
    world.use()
    world.keeper.refetch(OTHER_URL, SECONDS)


def test_a_changed_key_file_is_read_when_poked(world: World) -> None:
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    (world.folder / "jwks.json").write_bytes(Issuer(ISSUER_URL, key_id="k3").jwks())
    world.keeper.poke_files()
    wait(lambda: world.key_ids() == {"k3"})


def test_a_ring_is_good_for_the_stale_time_after_its_fetch(world: World) -> None:
    before = time.time()
    world.use(("jwks.json", "jwks.json\n        staleAfterSeconds: 60"))
    wait(lambda: world.key_ids() == {"k1"})
    ring = world.state.fetched.key_rings[ISSUER_URL]
    assert before <= ring.usable_until - 60 <= time.time()


def stale_after(seconds: int) -> tuple[str, str]:
    return "jwks.json", f"jwks.json\n        staleAfterSeconds: {seconds}"


def test_a_shorter_stale_time_counts_at_once_from_the_last_good_fetch(world: World) -> None:
    before = time.time()
    world.use()
    wait(lambda: world.key_ids() == {"k1"})
    fetched_until = time.time()
    (world.folder / "jwks.json").unlink()
    for seconds, counted in ((3600, 3600), (120, 120), (7200, 120), (60, 60)):
        world.use(stale_after(seconds))
        ring = world.state.fetched.key_rings[ISSUER_URL]
        assert set(ring.keys) == {"k1"}
        assert before <= ring.usable_until - counted <= fetched_until


def test_keys_are_pinned_to_the_algorithms_of_their_issuer(world: World) -> None:
    world.use(("[ES256]", "[RS256]"))
    wait(lambda: world.keeper.statuses()[ISSUER_URL].fetched_at is not None)
    assert world.key_ids() == set()
    assert len(world.keeper.statuses()[ISSUER_URL].left_out) == 1


def test_keys_are_found_by_discovery(world: World) -> None:
    issuer, url = Issuer(ISSUER_URL), ""

    def both_documents() -> bytes:
        keys = json.loads(issuer.jwks())
        return json.dumps({"issuer": url, "jwks_uri": f"{url}/keys", **keys}).encode()

    with running_jwks_endpoint(both_documents) as endpoint:
        url = endpoint.removesuffix("/jwks.json")
        loaded = world.loaded(("file: jwks.json", "discovery: true"))
        (entry,) = loaded.service.issuers
        (trusted,) = loaded.compiled.issuers.values()
        found = entry.model_copy(update={"issuer": url})
        service = loaded.service.model_copy(update={"issuers": [found]})
        world.keeper.use(wanted_keys(service, {url: trusted}))
        wait(lambda: world.key_ids(url) == {"k1"})


def test_a_set_that_cannot_be_read_is_reported(world: World) -> None:
    (world.folder / "jwks.json").write_text('{"keys": 7}')
    world.use()
    wait(lambda: world.keeper.statuses()[ISSUER_URL].error not in {"", "not fetched yet"})
    assert world.key_ids() == set()

from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.loader import Loaded, load
from deputize.core.bundles import Bundle, parse_bundle
from deputize.core.keys import KeyRing
from deputize.core.model import VerifiedToken
from deputize.core.revocation import NOTHING_REVOKED
from deputize.core.snapshot import Snapshot
from deputize.core.spiffe import TrustDomain
from deputize.server.state import State, TokenMemory
from tests.harness.certificates import make_authority, make_bundle
from tests.harness.config_files import POLICY, SERVICE, changed, write_world
from tests.harness.world import (
    ISSUER_URL,
    NOW,
    TRUST_DOMAIN,
    decide_now,
    make_key_ring,
    make_request,
    make_snapshot,
    shared_issuer,
)


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return load(write_world(tmp_path))


def ring() -> KeyRing:
    return make_key_ring(shared_issuer())


def snapshot_of(state: State) -> Snapshot:
    assert state.current is not None
    return state.current.snapshot


def test_before_the_first_configuration_there_is_nothing() -> None:
    assert State(None).current is None


def test_keys_may_come_before_the_configuration(loaded: Loaded) -> None:
    state = State(None)
    state.publish_ring(ISSUER_URL, ring())
    assert state.current is None
    state.use(loaded, NOTHING_REVOKED)
    assert set(snapshot_of(state).key_rings) == {ISSUER_URL}


def test_a_new_ring_makes_a_new_snapshot_and_leaves_the_old_one(loaded: Loaded) -> None:
    state = State(None)
    state.use(loaded, NOTHING_REVOKED)
    before = snapshot_of(state)
    state.publish_ring(ISSUER_URL, ring())
    assert snapshot_of(state) is not before
    assert dict(before.key_rings) == {}
    assert set(snapshot_of(state).key_rings) == {ISSUER_URL}


def test_a_ring_outlives_a_reload(tmp_path: Path, loaded: Loaded) -> None:
    state = State(None)
    state.use(loaded, NOTHING_REVOKED)
    state.publish_ring(ISSUER_URL, ring())
    policy = changed(POLICY, "[GET]", "[GET, HEAD]")
    state.use(load(write_world(tmp_path / "next", policy=policy)), NOTHING_REVOKED)
    assert set(snapshot_of(state).key_rings) == {ISSUER_URL}
    assert snapshot_of(state).digest != loaded.digest


def test_a_dropped_ring_is_trusted_no_longer(loaded: Loaded) -> None:
    state = State(None)
    state.use(loaded, NOTHING_REVOKED)
    state.publish_ring(ISSUER_URL, ring())
    state.drop_ring(ISSUER_URL)
    state.drop_ring("https://never.example")
    assert dict(snapshot_of(state).key_rings) == {}


def test_a_dropped_bundle_is_trusted_no_longer(tmp_path: Path) -> None:
    service = changed(
        SERVICE,
        f"trustDomains: [{TRUST_DOMAIN}]",
        f"trustDomains: [{TRUST_DOMAIN}]\n    bundles: "
        f"[{{trustDomain: {TRUST_DOMAIN}, file: bundle.json}}]",
    )
    state, domain = State(None), TrustDomain(TRUST_DOMAIN)
    state.use(load(write_world(tmp_path, service=service)), NOTHING_REVOKED)
    assert snapshot_of(state).peer_rules.bundles[domain].authorities == ()
    bundle = make_trusted_bundle(domain)
    state.publish_bundle(domain, bundle)
    assert snapshot_of(state).peer_rules.bundles[domain] is bundle
    state.drop_bundle(domain)
    assert snapshot_of(state).peer_rules.bundles[domain].authorities == ()


def make_trusted_bundle(domain: TrustDomain) -> Bundle:
    return parse_bundle(make_bundle(make_authority()), domain)


def verified(number: int) -> VerifiedToken:
    token = shared_issuer().issue(now=NOW, subject=f"user-{number}")
    proven = decide_now(make_request(token), make_snapshot(shared_issuer())).proven.token
    assert proven is not None
    return proven


def test_a_memory_returns_the_token_of_exactly_this_text() -> None:
    memory, token = TokenMemory(2), verified(1)
    memory.remember("a", token)
    assert memory.recall("a") is token
    assert memory.recall("A") is None


def test_a_full_memory_forgets_the_oldest() -> None:
    memory = TokenMemory(2)
    for text in ("a", "b", "c"):
        memory.remember(text, verified(1))
    assert [memory.recall(text) is None for text in ("a", "b", "c")] == [True, False, False]
    assert len(memory) == 2


def test_remembering_again_replaces_and_makes_newest() -> None:
    memory, newer = TokenMemory(2), verified(2)
    for text, token in (("a", verified(1)), ("b", verified(1)), ("a", newer), ("c", verified(1))):
        memory.remember(text, token)
    assert memory.recall("a") is newer
    assert memory.recall("b") is None


def test_a_memory_of_size_zero_keeps_nothing() -> None:
    memory = TokenMemory(0)
    memory.remember("a", verified(1))
    assert len(memory) == 0

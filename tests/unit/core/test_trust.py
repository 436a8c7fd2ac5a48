from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deputize.core.keys import Algorithm, KeyRing, freeze_keys
from deputize.core.model import VerifiedToken
from deputize.core.token import verify
from deputize.core.trust import TrustedIssuer, is_still_trusted
from tests.harness.issuer import Issuer
from tests.harness.world import (
    ISSUER_URL,
    NOW,
    bearer,
    make_key_ring,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

TRUSTED = make_trusted_issuer()
RING = make_key_ring(shared_issuer(), NOW)
OTHER_URL = "https://other.example"


def verified() -> VerifiedToken:
    token = bearer(shared_issuer().issue(now=NOW))
    return verify(token, {ISSUER_URL: TRUSTED}, {ISSUER_URL: RING}, NOW, no_recall)


def trusted_under(
    trusted: TrustedIssuer = TRUSTED, ring: KeyRing = RING, *, now: float = NOW
) -> bool:
    return is_still_trusted(verified(), {trusted.issuer: trusted}, {ISSUER_URL: ring}, now)


def test_under_the_same_settings_and_key_it_is_trusted() -> None:
    assert trusted_under()
    assert trusted_under(replace(TRUSTED), freeze_keys(RING.keys, NOW))


def test_settings_that_changed_are_told_by_their_digest() -> None:
    assert not trusted_under(replace(TRUSTED, digest="other settings"))


def test_an_issuer_that_is_gone_is_not_trusted() -> None:
    assert not trusted_under(replace(TRUSTED, issuer=OTHER_URL))
    assert not is_still_trusted(verified(), {}, {ISSUER_URL: RING}, NOW)


def test_without_fresh_keys_nothing_is_trusted() -> None:
    assert not is_still_trusted(verified(), {ISSUER_URL: TRUSTED}, {}, NOW)
    assert not is_still_trusted(verified(), {ISSUER_URL: TRUSTED}, {OTHER_URL: RING}, NOW)
    assert not trusted_under(now=NOW + 0.001)
    assert not trusted_under(now=float("nan"))


def renamed(ring: KeyRing) -> KeyRing:
    return freeze_keys({"k2": ring.keys["k1"]}, NOW)


def replaced(_ring: KeyRing) -> KeyRing:
    return make_key_ring(Issuer(ISSUER_URL), NOW)


def pinned_otherwise(ring: KeyRing) -> KeyRing:
    return freeze_keys({"k1": replace(ring.keys["k1"], algorithm=Algorithm.ES384)}, NOW)


@pytest.mark.parametrize("change", [renamed, replaced, pinned_otherwise])
def test_its_very_key_must_still_be_there(change: Callable[[KeyRing], KeyRing]) -> None:
    assert not trusted_under(ring=change(RING))


def test_another_key_beside_it_changes_nothing() -> None:
    more = freeze_keys({**RING.keys, "k2": replaced(RING).keys["k1"]}, NOW)
    assert trusted_under(ring=more)

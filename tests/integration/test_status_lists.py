"""Status lists, by which issuers revoke their own tokens: followed within the bound.

Source: docs/revocation.md, which states the bounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.identity_provider import DENIED, KEYS, STATUSES, IdentityProvider
from tests.harness.live import Live
from tests.harness.live_provider import Shown, running_with_provider, shown

AGE_SECONDS = 10
TTL_SECONDS = 3


def with_statuses(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["statusLists"] = provider.status_lists


def with_required_statuses(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["statusLists"] = {**provider.status_lists, "required": True}


@pytest.fixture(scope="module")
def with_lists(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Live, IdentityProvider]]:
    with running_with_provider(tmp_path_factory.mktemp("lists"), with_statuses) as both:
        yield both


def show(live: Live, **claims: object) -> Shown:
    return shown(live, live.issuer.issue(now=time.time(), claims=claims))


def test_a_status_list_is_fetched_when_a_token_asks_and_followed(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_statuses) as (live, provider):
        assert provider.asked[STATUSES] == 0
        first, second = (show(live, **provider.statuses.claim(index)) for index in (3, 4))
        assert first.reason() == second.reason() == Reason.POLICY_ALLOWED
        assert provider.asked[STATUSES] == 1
        provider.statuses.revoke(3)
        first.becomes(Reason.TOKEN_REVOKED, AGE_SECONDS)
        assert second.reason() == Reason.POLICY_ALLOWED
        assert show(live).reason() == Reason.POLICY_ALLOWED


def test_a_status_list_is_good_for_its_own_time(with_lists: tuple[Live, IdentityProvider]) -> None:
    live, provider = with_lists
    provider.statuses.claims["ttl"] = TTL_SECONDS
    token = show(live, **provider.statuses.claim(3))
    assert token.reason() == Reason.POLICY_ALLOWED
    provider.statuses.revoke(3)
    token.becomes(Reason.TOKEN_REVOKED, TTL_SECONDS)
    provider.statuses.restore(3)
    provider.is_down.set()
    token.becomes(Reason.SYSTEM_STATUS_UNAVAILABLE, TTL_SECONDS)
    assert show(live).reason() == Reason.POLICY_ALLOWED
    provider.is_down.clear()
    token.becomes(Reason.POLICY_ALLOWED, TTL_SECONDS)


def test_a_token_that_names_no_list_is_refused_where_it_must(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_required_statuses) as (live, provider):
        assert show(live, **provider.statuses.claim(3)).reason() == Reason.POLICY_ALLOWED
        assert show(live).reason() == Reason.TOKEN_CLAIM_MISSING


def test_a_status_list_follows_the_keys_of_its_issuer(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_statuses) as (live, provider):
        live.issuer.rotate("k2")
        assert show(live, **provider.statuses.claim(3)).reason() == Reason.POLICY_ALLOWED
        assert provider.asked[KEYS] == 2


def test_a_status_list_elsewhere_is_not_fetched(with_lists: tuple[Live, IdentityProvider]) -> None:
    live, provider = with_lists
    for uri in (f"{provider.url}{DENIED}", f"{provider.url}/status/../deny.json"):
        token = show(live, status={"status_list": {"idx": 0, "uri": uri}})
        assert token.reason() == Reason.SYSTEM_STATUS_UNAVAILABLE
    assert provider.asked[DENIED] == 0

"""Issuers that revoke their own tokens: status lists and introspection, followed within bounds.

Source: docs/revocation.md, which states the bounds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from deputize.core.reasons import Reason
from tests.harness.identity_provider import DENIED, KEYS, STATUSES, IdentityProvider
from tests.harness.live import Live
from tests.harness.live_provider import SECRET_FILE, Shown, running_with_provider, shown
from tests.harness.polling import wait_until

SECONDS = 15
AGE_SECONDS = 10
TTL_SECONDS = 4
CACHE_SECONDS = 1


def with_statuses(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["statusLists"] = provider.status_lists


def with_required_statuses(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["statusLists"] = {**provider.status_lists, "required": True}


def with_introspection(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["introspection"] = provider.introspected(SECRET_FILE)


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


def test_a_status_list_is_good_for_its_own_time(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_statuses) as (live, provider):
        provider.statuses.claims["ttl"] = TTL_SECONDS
        token = show(live, **provider.statuses.claim(3))
        assert token.reason() == Reason.POLICY_ALLOWED
        provider.statuses.revoke(3)
        token.becomes(Reason.TOKEN_REVOKED, TTL_SECONDS)
        provider.statuses.restore(3)
        token.becomes(Reason.POLICY_ALLOWED, TTL_SECONDS)
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


def test_a_status_list_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_statuses) as (live, provider):
        for uri in (f"{provider.url}{DENIED}", f"{provider.url}/status/../deny.json"):
            token = show(live, status={"status_list": {"idx": 0, "uri": uri}})
            assert token.reason() == Reason.SYSTEM_STATUS_UNAVAILABLE
        assert provider.asked[DENIED] == 0


def test_an_issuer_is_asked_about_its_tokens(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_introspection) as (live, provider):
        text = live.issuer.issue(now=time.time())
        token = shown(live, text)
        assert token.reason() == Reason.POLICY_ALLOWED
        provider.introspection.revoke(text)
        token.becomes(Reason.TOKEN_REVOKED, CACHE_SECONDS)
        other = show(live)
        assert other.reason() == Reason.POLICY_ALLOWED
        provider.introspection.secret = "another"
        other.becomes(Reason.SYSTEM_STATUS_UNAVAILABLE, CACHE_SECONDS)
        wait_until(lambda: "introspection" in str(live.readiness()["warnings"]), SECONDS)

"""Issuers that are asked about their tokens: what they say is followed within the bound.

Source: docs/revocation.md, which states the bounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.identity_provider import IdentityProvider
from tests.harness.live import Live
from tests.harness.live_provider import SECRET_FILE, running_with_provider, shown
from tests.harness.polling import wait_until

SECONDS = 15
CACHE_SECONDS = 1

Asked = tuple[Live, IdentityProvider]


def with_introspection(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["introspection"] = provider.introspected(SECRET_FILE)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    with running_with_provider(tmp_path, with_introspection) as both:
        yield both


def test_what_an_issuer_revokes_is_refused_though_it_is_remembered(asked: Asked) -> None:
    live, provider = asked
    texts = [live.issuer.issue(now=time.time()) for _ in range(2)]
    revoked, other = (shown(live, text) for text in texts)
    assert revoked.reason() == other.reason() == Reason.POLICY_ALLOWED
    provider.introspection.revoke(texts[0])
    revoked.becomes(Reason.TOKEN_REVOKED, CACHE_SECONDS)
    assert other.reason() == Reason.POLICY_ALLOWED


def test_an_issuer_that_does_not_know_us_any_more_is_no_answer(asked: Asked) -> None:
    live, provider = asked
    token = shown(live, live.issuer.issue(now=time.time()))
    assert token.reason() == Reason.POLICY_ALLOWED
    known_by, provider.introspection.secret = provider.introspection.secret, "another"
    token.becomes(Reason.SYSTEM_STATUS_UNAVAILABLE, CACHE_SECONDS)
    wait_until(lambda: "introspection" in str(live.readiness()["warnings"]), SECONDS)
    assert live.readiness()["ready"] is True
    provider.introspection.secret = known_by
    token.becomes(Reason.POLICY_ALLOWED, CACHE_SECONDS)


def test_only_what_is_allowed_by_all_the_rest_is_asked_about(asked: Asked) -> None:
    live, provider = asked
    assert live.ask(live.check(method="DELETE")).reason == Reason.POLICY_NO_MATCH
    assert provider.introspection.asked == []
    assert live.ask().allowed
    assert len(provider.introspection.asked) == 1

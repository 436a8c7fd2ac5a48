"""A deny list at a URL: followed within its bound, and used no longer than is stated.

Source: docs/revocation.md, which states the bounds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from deputize.core.reasons import Reason
from tests.harness.identity_provider import DENIED, IdentityProvider
from tests.harness.live_provider import SLACK_SECONDS, running_with_provider, shown
from tests.harness.polling import wait_until
from tests.harness.world import AGENT, ISSUER_URL

SECONDS = 15
REFRESH_SECONDS = 1
STALE_SECONDS = 10


def with_url(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["denyLists"] = [
        {
            "url": f"{provider.url}{DENIED}",
            "refreshSeconds": REFRESH_SECONDS,
            "staleAfterSeconds": STALE_SECONDS,
        }
    ]


def test_it_is_followed_until_it_is_too_old(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_url) as (live, provider):
        token = shown(live, live.issuer.issue(now=time.time(), claims={"jti": "t-1"}))
        assert token.reason() == Reason.POLICY_ALLOWED
        provider.denied = {"tokens": [{"issuer": ISSUER_URL, "id": "t-1"}]}
        token.becomes(Reason.TOKEN_REVOKED, REFRESH_SECONDS)
        provider.denied = {"agents": [AGENT]}
        token.becomes(Reason.PEER_SUSPENDED, REFRESH_SECONDS)
        provider.denied = {}
        token.becomes(Reason.POLICY_ALLOWED, REFRESH_SECONDS)

        provider.is_down.set()
        gone_at = time.monotonic()
        wait_until(lambda: "deny.json" in str(live.readiness()["warnings"]), SECONDS)
        token.becomes(Reason.SYSTEM_STATUS_UNAVAILABLE, STALE_SECONDS)
        # The last good fetch was at most one refresh before.
        assert time.monotonic() - gone_at > STALE_SECONDS - REFRESH_SECONDS - SLACK_SECONDS
        assert "deny.json" in str(live.readiness()["waiting_for"])

        provider.is_down.clear()
        token.becomes(Reason.POLICY_ALLOWED, REFRESH_SECONDS)
        assert live.readiness()["ready"] is True

"""Observe mode through the service as it runs: policies let pass, identity and token do not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.issuer import Issuer
from tests.harness.live import running_live
from tests.harness.world import ISSUER_URL, OTHER_AGENT


@pytest.mark.parametrize("transport", ["grpcio", "native"])
def test_only_refusals_of_policies_pass(tmp_path: Path, transport: str) -> None:
    def observe(spec: dict[str, Any]) -> None:
        spec["policyMode"] = "observe"

    with running_live(tmp_path, change=observe, transport=transport) as live:
        verdict = live.ask(live.check(method="DELETE"))
        assert (verdict.allowed, verdict.reason) == (True, Reason.POLICY_ALLOWED)
        event = live.process.audit_event(verdict.decision_id)
        assert event["observed"]["reason"] == Reason.POLICY_NO_MATCH
        assert live.ask().allowed

        token = live.issuer.issue(now=time.time())
        forged = Issuer(ISSUER_URL).issue(now=time.time())
        refused = [
            make_check(token, peer=OTHER_AGENT, method="DELETE"),
            make_check(forged, method="DELETE"),
            make_check(method="DELETE"),
        ]
        assert [live.ask(check.SerializeToString()).reason for check in refused] == [
            Reason.DELEGATION_ACTOR_MISMATCH,
            Reason.TOKEN_BAD_SIGNATURE,
            Reason.TOKEN_MISSING,
        ]
        counted = live.process.metric("deputize_observed_denials_total", policy="")
        assert counted == 1

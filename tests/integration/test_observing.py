"""Observe mode through the service as it runs: policies let pass, identity and token do not."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.issuer import Issuer
from tests.harness.live import running_live
from tests.harness.recordings import run_policy
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
        assert live.readiness()["warnings"]
        assert "WARNING deputize.server.app: `policyMode: observe`" in (
            live.process.log_file.read_text()
        )

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


def test_what_the_service_recorded_is_decided_again_as_it_was(tmp_path: Path) -> None:
    def record(spec: dict[str, Any]) -> None:
        spec["audit"]["claims"] = ["groups"]

    with running_live(tmp_path, change=record) as live:
        for method in ("GET", "DELETE"):
            for path in ("/v1/orders/7", "/v1/orders", "/v1/orders/../7"):
                live.ask(live.check(method=method, path=path))
        token = live.issuer.issue(now=time.time(), scope="", claims={"groups": ["x"]})
        live.ask(make_check(token).SerializeToString())
        live.ask(make_check(token, peer=OTHER_AGENT).SerializeToString())
    arguments = ("replay", live.process.audit_file, "--policy", live.process.config_file)
    result = run_policy(*arguments, "--json", "--strict")
    assert result.exit_code == 0, result.output
    totals = json.loads(result.stdout)["totals"]
    assert totals["not_for_policies"] == {
        Reason.REQUEST_AMBIGUOUS_PATH: 2,
        Reason.DELEGATION_ACTOR_MISMATCH: 1,
    }
    assert (totals["unchanged"], totals["changed"], totals["undetermined"]) == (5, 0, 0)
    suggested = run_policy("suggest", live.process.audit_file)
    assert suggested.exit_code == 0
    assert "/v1/orders/{id}" in suggested.stdout

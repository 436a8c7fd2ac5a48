"""Budgets, stronger logins, observed policies and reloads through a real Envoy."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.agent_stage import (
    WHOLE_BODIES,
    AgentStage,
    Rule,
    allow,
    facts_of,
    reason_of,
    set_agent_stage,
    tool,
    tool_call,
)
from tests.harness.approvals import APPROVALS_URL
from tests.harness.calls import Call
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.issuer import Issuer
from tests.harness.redis_server import RedisServer
from tests.harness.service_config import with_own_ports
from tests.harness.world import ISSUER_URL

HEADER = "x-approval"
YEAR_SECONDS = 31536000
RULES = [
    tool("pay", approval={"services": [APPROVALS_URL]}),
    tool("newsletter", budget={"limit": 3, "windowSeconds": YEAR_SECONDS}),
    tool("export", stepUp={"acrValues": ["phr", "phrh"], "maxAgeSeconds": 300}),
    tool("get_weather"),
]
RESOURCES = [{"hosts": ["tools.example"], "paths": ["/mcp"], "protocol": "mcp"}]
PAY = {"to": "acme", "amount": 120.5, "currency": "EUR"}


@pytest.fixture(scope="module", params=TRANSPORTS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentStage]:
    folder = tmp_path_factory.mktemp("stage")
    with set_agent_stage(folder, RULES, transport=request.param, resources=RESOURCES) as running:
        yield running


def test_a_budget_is_used_up(stage: AgentStage) -> None:
    answers = [stage.call_tool(tool_call("newsletter", number=number)) for number in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert reason_of(refused) == Reason.POLICY_BUDGET_EXHAUSTED
    assert json.loads(refused.body)["id"] == 3
    now = time.time()
    left = YEAR_SECONDS - now % YEAR_SECONDS
    assert 0 <= int(refused.header("retry-after")) - left < 60
    # Another principal has a budget of its own; other tools go on.
    other = stage.call_tool(tool_call("newsletter"), claims={"sub": "bob"})
    assert other.status == 200
    assert stage.call_tool(tool_call("get_weather")).status == 200


def test_replicas_share_a_budget(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("shared")
    with RedisServer(folder, password="hunter2") as server:
        (folder / "url").write_text(server.url)

        def share(spec: dict[str, Any]) -> None:
            url_file = str(folder / "url")
            spec["replay"] = {"store": "redis", "urlFile": url_file, "timeoutMillis": 1000}

        with set_agent_stage(folder, RULES, resources=RESOURCES, change=share) as first:
            config = with_own_ports(first.deputize.config)
            second = first.with_proxy("other", WHOLE_BODIES, first.open_deputize("second", config))
            answers = [
                stage.call_tool(tool_call("newsletter")).status
                for stage in (first, second, first, second, first)
            ]
            assert answers == [200, 200, 200, 429, 429]
            # An approval that was used at one is used at the other.
            body = tool_call("pay", PAY)
            asked = facts_of(first.call_tool(body))["approval"]
            approval = (HEADER, first.desk.approve(asked, now=time.time()))
            assert first.call_tool(body, approval).status == 200
            assert reason_of(second.call_tool(body, approval)) == Reason.POLICY_APPROVAL_INVALID


def test_a_stronger_login_is_asked_for(stage: AgentStage) -> None:
    body = tool_call("export")
    for claims in ({}, {"acr": "pwd"}, {"acr": "phr", "auth_time": int(time.time()) - 400}):
        answer = stage.call_tool(body, claims=claims)
        assert (answer.status, reason_of(answer)) == (401, Reason.POLICY_STEP_UP_REQUIRED)
        challenge = answer.header("www-authenticate")
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'acr_values="phr phrh"' in challenge
        assert "max_age=300" in challenge
    claims = {"acr": "phrh", "auth_time": int(time.time()) - 30}
    assert stage.call_tool(body, claims=claims).status == 200


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_is_observed_passes_and_is_recorded(
    tmp_path_factory: pytest.TempPathFactory, transport: str
) -> None:
    def observe(spec: dict[str, Any]) -> None:
        spec["policyMode"] = "observe"

    folder = tmp_path_factory.mktemp("observed")
    with set_agent_stage(
        folder, RULES, resources=RESOURCES, change=observe, transport=transport
    ) as stage:
        for name, expected in (
            ("read_secrets", Reason.POLICY_NO_MATCH),
            ("pay", Reason.POLICY_APPROVAL_REQUIRED),
            ("export", Reason.POLICY_STEP_UP_REQUIRED),
        ):
            assert stage.call_tool(tool_call(name)).status == 200
            decision_id = stage.upstream.served[-1].headers["x-deputize-decision-id"]
            logged = stage.proxy.logged(decision_id)["ext_authz"]
            assert (logged["effect"], logged["observed_reason"]) == ("allow", expected)
        token = Issuer(ISSUER_URL).issue(now=time.time())
        call = Call("POST", "/mcp", (("authorization", f"Bearer {token}"),), tool_call("pay"))
        answer = stage.curl().send(call)
        assert (answer.status, reason_of(answer)) == (401, Reason.TOKEN_BAD_SIGNATURE)
        # A body that cannot be read is no matter of policy.
        assert stage.call_tool(b"{}").status == 400


def test_policies_are_replaced_while_calls_come_in(stage: AgentStage) -> None:
    def outcome(name: str) -> str:
        answer = stage.call_tool(tool_call(name))
        return reason_of(answer) or "served"

    spec: dict[str, Any] = {
        "resources": RESOURCES,
        "rules": [tool("get_weather", scopes=["orders"])],
    }
    try:
        # What is a tool call now, is no longer one of a kind that we know.
        stage.set_policy({"rules": [allow("any", "tools.example")]})
        assert outcome("read_secrets") == "served"
        stage.set_policy(spec)
        assert (outcome("get_weather"), outcome("pay")) == ("served", Reason.POLICY_NO_MATCH)
        limits = {"onBehalfOf": [{"issuer": ISSUER_URL, "anyone": True}], "scopes": ["tasks"]}
        stage.set_policy({**spec, "principalScopes": [limits]})
        assert outcome("get_weather") == Reason.POLICY_SCOPE_NOT_DELEGABLE
        forbid = forbidding(tool("get_weather"))
        stage.set_policy({**spec, "rules": [*spec["rules"], forbid]})
        assert outcome("get_weather") == Reason.POLICY_FORBIDDEN
        stage.set_policy({**spec, "rules": [*spec["rules"], forbid], "mode": "observe"})
        assert outcome("get_weather") == "served"
        assert outcome("pay") == Reason.POLICY_NO_MATCH
    finally:
        stage.set_policy({"resources": RESOURCES, "rules": RULES})


def forbidding(rule: Rule) -> Rule:
    """The same rule as a forbid."""
    changed = copy.deepcopy(rule)
    del changed["scopes"]
    return changed | {"name": "forbidden", "effect": "forbid"}


def test_nothing_went_wrong_inside(stage: AgentStage) -> None:
    assert "Traceback" not in stage.deputize.log_file.read_text()

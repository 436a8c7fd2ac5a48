"""The court decides supposed calls as the service would decide real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deputize.cli.court import Court
from deputize.cli.supposed_call import AgentCall, SupposedCall, SupposedCallError
from deputize.config.problems import ConfigError
from deputize.core.model import Call, DelegationStyle, Kind, Protocol, Spend, UseOnce
from deputize.core.reasons import Reason
from deputize.core.verdict import Effect, Permit
from tests.harness.config_files import changed
from tests.harness.court_policies import RULES, compile_text
from tests.harness.world import AGENT, ISSUER_URL, OTHER_AGENT

READ = SupposedCall(
    agent=AGENT,
    issuer=ISSUER_URL,
    subject="alice",
    claims={"groups": ["staff"]},
    scopes=frozenset({"orders:read"}),
    host="orders.example",
    path="/v1/orders/7",
)
REFUND = replace(
    READ,
    scopes=frozenset({"orders:write"}),
    claims={"acr": "gold"},
    method="POST",
    path="/v1/orders/7/refund",
    body=b'{"amount": 3}',
)
OFFICE = replace(READ, host="office.example", path="/desk")
TOOL = replace(
    READ,
    scopes=frozenset({"tools"}),
    host="tools.example",
    path="/mcp",
    call=AgentCall(Protocol.MCP, "tools/call", "search", {"q": "x"}),
)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Court:
    return Court(compile_text(tmp_path_factory.mktemp("court")))


def reason_of(court: Court, supposed: SupposedCall, /, **changes: Any) -> Reason:  # noqa: ANN401 - as `replace` takes them
    return court.decide(replace(supposed, **changes)).decision.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, Reason.POLICY_ALLOWED),
        ({"path": "/v1/orders/7?x=1"}, Reason.POLICY_ALLOWED),
        ({"method": "DELETE"}, Reason.POLICY_NO_MATCH),
        ({"host": "other.example"}, Reason.POLICY_NO_MATCH),
        ({"agent": OTHER_AGENT}, Reason.POLICY_NO_MATCH),
        ({"agent": "spiffe://elsewhere.example/a"}, Reason.POLICY_NO_MATCH),
        ({"agent": "nobody"}, Reason.PEER_MALFORMED),
        ({"issuer": "https://elsewhere.example"}, Reason.POLICY_NO_MATCH),
        ({"claims": {}}, Reason.POLICY_NO_MATCH),
        ({"scopes": frozenset()}, Reason.POLICY_INSUFFICIENT_SCOPE),
        ({"path": "/v1/orders/secret"}, Reason.POLICY_FORBIDDEN),
        ({"path": "/v1/../x"}, Reason.REQUEST_AMBIGUOUS_PATH),
        ({"headers": {"x-original-url": "/"}}, Reason.REQUEST_OVERRIDE_HEADER),
        ({"headers": {"authorization": "Basic eA=="}}, Reason.TOKEN_MISSING),
        ({"headers": {"authorization": "Bearer x"}}, Reason.TOKEN_MALFORMED),
        ({"chain": (AGENT,)}, Reason.DELEGATION_CYCLE),
        ({"subject": AGENT}, Reason.DELEGATION_ABSENT),
    ],
)
def test_plain_calls(court: Court, changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(court, READ, **changes) is reason


def test_asked_again_the_answer_is_the_same(court: Court) -> None:
    first, second = court.decide(READ), court.decide(READ)
    assert first.asked == second.asked
    assert first.decision.verdict == second.decision.verdict
    assert first.decision.proven.token is second.decision.proven.token


def test_the_grant_has_the_scopes_of_the_rule(court: Court) -> None:
    verdict = court.decide(replace(READ, scopes=frozenset({"orders:read", "x"}))).decision.verdict
    assert isinstance(verdict, Permit)
    assert verdict.grant.scopes == {"orders:read"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"approved": True}, Reason.POLICY_ALLOWED),
        ({"approved": "carol"}, Reason.POLICY_ALLOWED),
        ({"approved": True, "body": b""}, Reason.POLICY_ALLOWED),
        ({}, Reason.POLICY_APPROVAL_REQUIRED),
        ({"approved": "alice"}, Reason.POLICY_APPROVAL_INVALID),
        ({"approved": AGENT}, Reason.POLICY_APPROVAL_INVALID),
        ({"headers": {"x-approval": "x"}}, Reason.POLICY_APPROVAL_INVALID),
        ({"approved": True, "claims": {}}, Reason.POLICY_STEP_UP_REQUIRED),
        ({"approved": True, "scopes": frozenset()}, Reason.POLICY_INSUFFICIENT_SCOPE),
    ],
)
def test_approvals(court: Court, changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(court, REFUND, **changes) is reason


def test_obligations_stand_in_the_permit(court: Court) -> None:
    verdict = court.decide(replace(REFUND, approved=True)).decision.verdict
    assert isinstance(verdict, Permit)
    assert {type(duty) for duty in verdict.obligations} == {Spend, UseOnce}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, Reason.POLICY_ALLOWED),
        ({"upgrade": "websocket"}, Reason.POLICY_ALLOWED),
        ({"upgrade": "h2c"}, Reason.POLICY_NO_MATCH),
        ({"at": 1767657600.0}, Reason.POLICY_CONDITION_FAILED),
        ({"chain": ("planner",)}, Reason.POLICY_ALLOWED),
        ({"chain": ("planner", "boss")}, Reason.POLICY_CONDITION_FAILED),
        ({"chain": tuple("abcdefghijkl")}, Reason.DELEGATION_TOO_DEEP),
        ({"style": DelegationStyle.IMPERSONATED}, Reason.POLICY_ALLOWED),
        ({"style": DelegationStyle.AUTONOMOUS, "subject": AGENT}, Reason.POLICY_ALLOWED),
        ({"kind": Kind.SERVICE}, Reason.POLICY_ALLOWED),
    ],
)
def test_time_chain_and_upgrade(court: Court, changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(court, OFFICE, **changes) is reason


def test_style_and_kind_are_those_of_the_call(court: Court) -> None:
    alone = replace(OFFICE, style=DelegationStyle.AUTONOMOUS, subject=AGENT, kind=Kind.AGENT)
    for call in (OFFICE, replace(OFFICE, style=DelegationStyle.IMPERSONATED), alone):
        delegation = court.decide(call).decision.proven.delegation
        assert delegation is not None
        assert (delegation.style, delegation.principal.kind) == (call.style, call.kind)


def calls_of(court: Court, call: SupposedCall) -> tuple[Call, ...]:
    action = court.decide(call).decision.proven.action
    assert action is not None
    return action.calls


@pytest.mark.parametrize(
    ("method", "name", "arguments"),
    [
        ("tools/call", "search", {"q": "x"}),
        ("tools/call", "suché, 1", {}),
        ("prompts/get", "intro", {"topic": "y"}),
        ("resources/read", "file:///data/a.txt", {}),
        ("completion/complete", "intro", {}),
        ("completion/complete", "file:///data/a.txt", {}),
        ("tools/list", "", {}),
        ("notifications/initialized", "", {}),
        ("response", "", {}),
    ],
)
def test_calls_of_mcp_are_read_as_meant(
    court: Court, method: str, name: str, arguments: dict[str, Any]
) -> None:
    call = replace(TOOL, call=AgentCall(Protocol.MCP, method, name, arguments))
    (read,) = calls_of(court, call)
    assert (read.protocol, read.method, read.name) == (Protocol.MCP, method, name)
    if method in {"tools/call", "prompts/get"}:
        assert read.arguments == arguments


def test_rules_for_tools(court: Court) -> None:
    pay = AgentCall(Protocol.MCP, "tools/call", "pay", {"amount": 500})
    assert reason_of(court, TOOL) is Reason.POLICY_ALLOWED
    assert reason_of(court, TOOL, call=pay) is Reason.POLICY_FORBIDDEN
    little = replace(pay, arguments={"amount": 5})
    assert reason_of(court, TOOL, call=little) is Reason.POLICY_ALLOWED


def test_where_only_headers_are_read_the_proxy_sends_no_body(court: Court) -> None:
    call = replace(TOOL, host="headers.example")
    assert court.decide(call).asked.body == b""
    assert calls_of(court, call) == (Call(Protocol.MCP, "tools/call", "search", None, None),)


OPERATIONS = [
    ("SendMessage", ""),
    ("SendStreamingMessage", ""),
    ("GetTask", "t1"),
    ("ListTasks", ""),
    ("CancelTask", "t1"),
    ("SubscribeToTask", "t1"),
    ("CreateTaskPushNotificationConfig", "t1"),
    ("GetTaskPushNotificationConfig", "t1"),
    ("ListTaskPushNotificationConfigs", "t1"),
    ("DeleteTaskPushNotificationConfig", "t1"),
    ("GetExtendedAgentCard", ""),
]


@pytest.mark.parametrize(("operation", "task"), OPERATIONS)
@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("agents.example", "/rpc"),
        ("agents.example", "/rest"),
        ("agents.example", "/rest/"),
        ("agents-grpc.example", "/"),
    ],
)
def test_operations_of_a2a_are_read_as_meant(
    court: Court, host: str, path: str, operation: str, task: str
) -> None:
    call = replace(READ, host=host, path=path, call=AgentCall(Protocol.A2A, operation, task))
    (read,) = calls_of(court, call)
    assert (read.protocol, read.method) == (Protocol.A2A, operation)
    assert read.name == ("" if host == "agents-grpc.example" else task)
    assert reason_of(court, call) is Reason.POLICY_ALLOWED


def test_a_whole_path_of_a2a_is_left_as_it_is(court: Court) -> None:
    call = AgentCall(Protocol.A2A, "GetTask")
    (read,) = calls_of(
        court,
        replace(READ, host="agents.example", path="/rest/tasks/t2", method="GET", call=call),
    )
    assert (read.method, read.name) == ("GetTask", "t2")


def test_an_operation_that_is_none_is_refused(court: Court) -> None:
    for path in ("/rpc", "/rest"):
        call = AgentCall(Protocol.A2A, "NoSuchThing")
        reason = reason_of(court, READ, host="agents.example", path=path, call=call)
        assert reason is Reason.REQUEST_BODY_UNREADABLE


def test_calls_of_grpc(court: Court) -> None:
    call = replace(
        READ, host="grpc.example", path="/", call=AgentCall(Protocol.GRPC, "shop.Orders/List")
    )
    assert reason_of(court, call) is Reason.POLICY_ALLOWED
    other = AgentCall(Protocol.GRPC, "shop.Orders/Drop")
    assert reason_of(court, call, call=other) is Reason.POLICY_NO_MATCH
    by_path = replace(call, call=None, path="/shop.Orders/List")
    assert reason_of(court, by_path) is Reason.POLICY_ALLOWED
    html = {"content-type": "text/html"}
    assert reason_of(court, by_path, headers=html) is Reason.REQUEST_BODY_UNREADABLE
    assert reason_of(court, by_path, method="GET") is Reason.REQUEST_BODY_UNREADABLE


def test_a_call_where_no_resource_is_known_is_a_plain_request(court: Court) -> None:
    assert calls_of(court, replace(TOOL, path="/elsewhere")) == ()
    assert reason_of(court, TOOL, path="//") is Reason.REQUEST_AMBIGUOUS_PATH


def test_observed_policies_refuse_nothing(tmp_path: Path) -> None:
    court = Court(compile_text(tmp_path), is_observed=True)
    decision = court.decide(replace(REFUND, approved=False)).decision
    assert (decision.effect, decision.rule is None) == (Effect.ALLOW, False)
    assert decision.observed is not None
    assert decision.observed.reason is Reason.POLICY_APPROVAL_REQUIRED
    assert court.decide(replace(REFUND, approved=True)).decision.observed is None


def test_settings_of_a_service_bound_the_chain(tmp_path: Path) -> None:
    court = Court(compile_text(tmp_path), delegation={"maxChainDepth": 1})
    assert reason_of(court, READ, chain=("planner",)) is Reason.DELEGATION_TOO_DEEP


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"issuer": "https://approvals.example"},
        {"at": float("nan")},
        {"claims": {"sub": "bob"}},
        {"claims": {"x": float("nan")}},
        {"headers": {"x-y": "\ud800"}},
        {"host": "\ud800"},
        {"call": AgentCall(Protocol.MCP, "tools/call", "x", {"y": float("inf")})},
        {"call": AgentCall(Protocol.MCP, "tools/call", "\ud800")},
    ],
)
def test_what_nobody_can_send_is_an_error(court: Court, changes: dict[str, Any]) -> None:
    with pytest.raises(SupposedCallError):
        court.decide(replace(READ, **changes))
    assert reason_of(court, READ) is Reason.POLICY_ALLOWED


def test_an_approval_service_that_is_an_issuer_is_an_error(tmp_path: Path) -> None:
    mixed = changed(RULES, 'services: ["https://approvals.example"]', f"services: [{ISSUER_URL}]")
    with pytest.raises(ConfigError):
        Court(compile_text(tmp_path, mixed))


def test_without_rules_there_is_a_court_too(tmp_path: Path) -> None:
    text = RULES.partition("  rules:\n")[0].partition("  agentCeilings:\n")[0]
    court = Court(compile_text(tmp_path, text))
    assert reason_of(court, READ) is Reason.POLICY_NO_MATCH

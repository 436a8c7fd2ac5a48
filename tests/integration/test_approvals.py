"""Approvals through a real Envoy: of tool calls and of plain requests, each good once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.agent_proxy import BodyOptions
from tests.harness.agent_stage import (
    AgentStage,
    allow,
    facts_of,
    reason_of,
    set_agent_stage,
    tool,
    tool_call,
)
from tests.harness.approvals import APPROVALS_URL
from tests.harness.calls import Answer, Call
from tests.harness.curl import VERSIONS, Version
from tests.harness.grpc_serving import TRANSPORTS

HEADER = "x-approval"
APPROVAL = {"services": [APPROVALS_URL], "approverNotPrincipal": True}
ORDER = Call("DELETE", "/v1/orders/17?why=late")
PAYMENT = Call("POST", "/v1/payments", body=b'{"to": "acme", "amount": 120.50}')
PLAIN = "orders.example"
RULES = [
    tool("pay", approval=APPROVAL),
    tool("get_weather"),
    allow("delete", PLAIN, path="/v1/orders/{id}", method="DELETE", approval=APPROVAL),
    allow("payments", PLAIN, path="/v1/payments", approval=APPROVAL),
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


def approve(stage: AgentStage, refused: Answer, **more: Any) -> tuple[str, str]:  # noqa: ANN401 - parts of an approval
    """The header with an approval of what the refusal asks for."""
    asked = facts_of(refused)["approval"]
    return HEADER, stage.desk.approve(asked, now=time.time(), **more)


def with_header(call: Call, *headers: tuple[str, str]) -> Call:
    return replace(call, headers=(*call.headers, *headers))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tool_call_is_approved_and_let_in_once(stage: AgentStage, version: Version) -> None:
    body = tool_call("pay", PAY, number=7)
    refused = stage.call_tool(body, version=version)
    assert (refused.status, reason_of(refused)) == (403, Reason.POLICY_APPROVAL_REQUIRED)
    approval = approve(stage, refused)

    # The same arguments in another order, under another id, are the same call.
    again = tool_call("pay", dict(reversed(PAY.items())), number=8)
    assert stage.call_tool(again, approval, version=version).status == 200
    arrived = stage.upstream.served[-1]
    assert arrived.body == again
    assert HEADER not in arrived.headers

    second = stage.call_tool(body, approval, version=version)
    assert (second.status, reason_of(second)) == (403, Reason.POLICY_APPROVAL_INVALID)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("call", [ORDER, PAYMENT], ids=lambda call: call.method)
def test_a_plain_request_is_approved_and_let_in_once(
    stage: AgentStage, call: Call, version: Version
) -> None:
    refused = stage.send(call, PLAIN, version)
    assert (refused.status, reason_of(refused)) == (403, Reason.POLICY_APPROVAL_REQUIRED)
    approved = with_header(call, approve(stage, refused))
    assert stage.send(approved, PLAIN, version).status == 200
    arrived = stage.upstream.served[-1]
    assert (arrived.method, arrived.target, arrived.body) == (call.method, call.target, call.body)
    assert HEADER not in arrived.headers
    assert reason_of(stage.send(approved, PLAIN, version)) == Reason.POLICY_APPROVAL_INVALID


def test_an_approval_is_for_one_call(stage: AgentStage) -> None:
    approval = approve(stage, stage.call_tool(tool_call("pay", PAY)))
    for arguments in ({**PAY, "amount": 121}, {**PAY, "to": "evil"}, {**PAY, "more": 1}):
        answer = stage.call_tool(tool_call("pay", arguments), approval)
        assert reason_of(answer) == Reason.POLICY_APPROVAL_INVALID
    other = stage.call_tool(tool_call("pay", PAY), approval, claims={"sub": "bob"})
    assert reason_of(other) == Reason.POLICY_APPROVAL_INVALID
    # None of these used it up.
    assert stage.call_tool(tool_call("pay", PAY), approval).status == 200


@pytest.mark.parametrize(
    "changed",
    [{"approver": "alice"}, {"lifetime": 301}, {"header": {"typ": "at+jwt"}}, {"omit": ("jti",)}],
    ids=lambda changed: next(iter(changed)),
)
def test_an_approval_that_does_not_hold(stage: AgentStage, changed: dict[str, Any]) -> None:
    approval = approve(stage, stage.call_tool(tool_call("pay", PAY)), **changed)
    answer = stage.call_tool(tool_call("pay", PAY), approval)
    assert reason_of(answer) == Reason.POLICY_APPROVAL_INVALID


def test_two_approvals_are_none(stage: AgentStage) -> None:
    refused = stage.call_tool(tool_call("pay", PAY))
    answer = stage.call_tool(
        tool_call("pay", PAY), approve(stage, refused), approve(stage, refused)
    )
    assert reason_of(answer) == Reason.POLICY_APPROVAL_INVALID


def test_a_plain_body_that_was_not_sent_cannot_be_approved(stage: AgentStage) -> None:
    for name, body in (
        ("blind", None),
        ("cutting", BodyOptions(max_bytes=10, is_partial=True)),
    ):
        answer = stage.with_proxy(name, body).send(PAYMENT, PLAIN)
        assert reason_of(answer) == Reason.POLICY_EVALUATION_ERROR


def test_an_approval_that_no_rule_asks_for_is_not_told_on(stage: AgentStage) -> None:
    assert stage.call_tool(tool_call("get_weather"), (HEADER, "anything")).status == 200
    assert HEADER not in stage.upstream.served[-1].headers

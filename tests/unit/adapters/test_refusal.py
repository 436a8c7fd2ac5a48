from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from deputize.adapters.presentation import PRESENTATIONS
from deputize.adapters.refusal import MAX_SHOWN_BYTES, Refusal, write_refusal
from deputize.core.model import (
    Action,
    Binding,
    Call,
    Json,
    Protocol,
    Resource,
    RuleRef,
    Scope,
    StepUp,
)
from deputize.core.reasons import REASONS, Reason
from deputize.core.verdict import Decision, Denial, KeyWanted, Proven
from tests.harness.rulings import mcp_call
from tests.harness.world import HOST, NOW, make_request

METADATA = "https://orders.example/.well-known/oauth-protected-resource"
MCP = Resource(Protocol.MCP, Binding.BODY, 0, "")
A2A = Resource(Protocol.A2A, Binding.JSON_RPC, 0, "")
A2A_REST = Resource(Protocol.A2A, Binding.REST, 0, "")
GRPC = Resource(Protocol.GRPC, None, 0, "")
DESCRIBED = Resource(None, None, 0, METADATA)
APPROVAL: Mapping[str, Json] = {"sub": "alice", "action": {"path": "/v1/orders"}}
REFUSALS = sorted(set(Reason) - {Reason.POLICY_ALLOWED})


def refuse(
    denial: Denial,
    *calls: Call,
    resource: Resource | None = None,
    content_type: str = "application/json",
    has_action: bool = True,
) -> Refusal:
    action = Action("POST", HOST, ("mcp",), "", calls) if has_action else None
    decision = Decision("decision-1", denial, Proven(action, resource), "digest", NOW)
    request = make_request(method="POST", headers={"content-type": content_type})
    return write_refusal(request, decision, denial)


def deny(reason: Reason) -> Denial:
    """A refusal of which nothing but the reason may be told."""
    return Denial(
        reason=reason,
        detail="a secret detail",
        rule=RuleRef("secret", "rule"),
        wanted=KeyWanted("https://secret.example", "secret-key"),
    )


def header(refusal: Refusal, name: str) -> str | None:
    assert len({key for key, _ in refusal.headers}) == len(refusal.headers)
    return dict(refusal.headers).get(name)


# Challenges


def challenge(denial: Denial, resource: Resource | None = None) -> str | None:
    return header(refuse(denial, resource=resource), "www-authenticate")


def test_a_challenge_names_all_scopes_of_the_nearest_rule() -> None:
    needed = frozenset({Scope("orders:write"), Scope("orders:read")})
    denial = Denial(reason=Reason.POLICY_INSUFFICIENT_SCOPE, detail="", needed_scopes=needed)
    public = REASONS[Reason.POLICY_INSUFFICIENT_SCOPE].public
    assert challenge(denial, DESCRIBED) == (
        'Bearer realm="deputize", error="insufficient_scope", '
        f'error_description="{public}", scope="orders:read orders:write", '
        f'resource_metadata="{METADATA}"'
    )


@pytest.mark.parametrize(
    ("step_up", "parameters"),
    [
        (StepUp(("gold", "silver"), None), ', acr_values="gold silver"'),
        (StepUp((), 0), ", max_age=0"),
        (StepUp(("gold",), 300), ', acr_values="gold", max_age=300'),
    ],
)
def test_a_challenge_says_how_to_log_in_again(step_up: StepUp, parameters: str) -> None:
    reason = Reason.POLICY_STEP_UP_REQUIRED
    denial = Denial(reason=reason, detail="", step_up=step_up)
    assert challenge(denial) == (
        'Bearer realm="deputize", error="insufficient_user_authentication", '
        f'error_description="{REASONS[reason].public}"{parameters}'
    )
    assert refuse(denial).http_status == 401


def test_without_a_token_a_challenge_names_no_error() -> None:
    denial = deny(Reason.TOKEN_MISSING)
    assert challenge(denial) == 'Bearer realm="deputize"'
    expected = f'Bearer realm="deputize", resource_metadata="{METADATA}"'
    assert challenge(denial, DESCRIBED) == expected


def test_a_bad_proof_is_challenged_with_its_own_scheme() -> None:
    shown = challenge(deny(Reason.TOKEN_PROOF_INVALID), DESCRIBED)
    assert shown is not None
    assert shown.startswith('DPoP realm="deputize", algs="ES256 ')
    assert f'resource_metadata="{METADATA}"' in shown


@pytest.mark.parametrize("reason", REFUSALS)
def test_only_where_it_helps_there_is_a_challenge(reason: Reason) -> None:
    has_challenge = PRESENTATIONS[reason].challenge is not None
    assert (challenge(deny(reason), DESCRIBED) is not None) is has_challenge


# When to come again


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, "1"), (0.2, "1"), (59.1, "60"), (60, "60")])
def test_a_budget_says_when_it_is_open_again(seconds: float, shown: str) -> None:
    denial = Denial(reason=Reason.POLICY_BUDGET_EXHAUSTED, detail="", retry_after=seconds)
    refusal = refuse(denial)
    assert refusal.http_status == 429
    assert header(refusal, "retry-after") == shown


def test_other_refusals_do_not_say_when_to_come_again() -> None:
    assert header(refuse(deny(Reason.POLICY_FORBIDDEN)), "retry-after") is None


# Bodies


@pytest.mark.parametrize("resource", [None, DESCRIBED, GRPC, A2A_REST])
def test_a_refusal_is_a_problem_document(resource: Resource | None) -> None:
    refusal = refuse(deny(Reason.POLICY_FORBIDDEN), mcp_call(), resource=resource)
    assert (refusal.http_status, refusal.grpc_code) == (403, 7)
    assert header(refusal, "content-type") == "application/problem+json"
    assert header(refusal, "cache-control") == "no-store"
    assert json.loads(refusal.body) == {
        "type": "urn:deputize:reason:policy.forbidden",
        "title": "Access denied",
        "status": 403,
        "detail": REASONS[Reason.POLICY_FORBIDDEN].public,
        "reason": "policy.forbidden",
        "decision_id": "decision-1",
    }


@pytest.mark.parametrize("resource", [MCP, A2A])
@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.POLICY_FORBIDDEN, -32003),
        (Reason.TOKEN_EXPIRED, -32003),
        (Reason.REQUEST_BODY_UNREADABLE, -32600),
        (Reason.REQUEST_CALL_MISMATCH, -32020),
    ],
)
def test_on_json_rpc_a_refusal_is_an_error_of_it(
    resource: Resource, reason: Reason, code: int
) -> None:
    refusal = refuse(deny(reason), mcp_call(), resource=resource)
    assert refusal.http_status == PRESENTATIONS[reason].http_status
    assert header(refusal, "content-type") == "application/json"
    assert json.loads(refusal.body) == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {
            "code": code,
            "message": REASONS[reason].public,
            "data": {"reason": reason.value, "decision_id": "decision-1"},
        },
    }


@pytest.mark.parametrize("identifier", [7, -(2**63), 2**64 - 1, "", 'a\n\u2028"', None])
def test_the_error_has_the_id_of_the_call(identifier: str | int | None) -> None:
    call = mcp_call()._replace(id=identifier)
    body = json.loads(refuse(deny(Reason.POLICY_NO_MATCH), call, resource=MCP).body)
    assert body["id"] == identifier
    assert type(body["id"]) is type(identifier)


def test_without_one_call_the_error_has_no_id() -> None:
    denial = deny(Reason.POLICY_NO_MATCH)
    for refusal in (
        refuse(denial, resource=MCP),
        refuse(denial, mcp_call(), mcp_call(), resource=MCP),
        refuse(denial, resource=MCP, has_action=False),
    ):
        assert json.loads(refusal.body)["id"] is None


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("resource", [None, MCP, GRPC])
@pytest.mark.parametrize("content_type", ["application/json", "application/grpc"])
def test_nothing_of_policy_or_token_is_told(
    reason: Reason, resource: Resource | None, content_type: str
) -> None:
    refusal = refuse(deny(reason), mcp_call("secret"), resource=resource, content_type=content_type)
    assert "secret" not in str(refusal)
    assert (refusal.grpc_code == 16) is (refusal.http_status == 401)


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
@pytest.mark.parametrize("resource", [None, GRPC, MCP])
def test_a_grpc_caller_gets_a_message_and_a_status_that_envoy_maps(
    content_type: str, resource: Resource | None
) -> None:
    for reason, status in (
        (Reason.REQUEST_BODY_UNREADABLE, 403),
        (Reason.TOKEN_EXPIRED, 401),
        (Reason.POLICY_BUDGET_EXHAUSTED, 429),
        (Reason.SYSTEM_INTERNAL, 503),
    ):
        refusal = refuse(deny(reason), resource=resource, content_type=content_type)
        assert refusal.http_status == status
        assert refusal.body == REASONS[reason].public
        assert header(refusal, "content-type") == "text/plain"


# What must be approved


@pytest.mark.parametrize(
    "reason", [Reason.POLICY_APPROVAL_REQUIRED, Reason.POLICY_APPROVAL_INVALID]
)
def test_what_must_be_approved_is_shown(reason: Reason) -> None:
    denial = Denial(reason=reason, detail="", approval=APPROVAL)
    assert json.loads(refuse(denial).body)["approval"] == APPROVAL
    error = json.loads(refuse(denial, mcp_call(), resource=MCP).body)["error"]
    assert error["data"]["approval"] == APPROVAL


def test_what_is_too_long_to_show_is_left_out() -> None:
    def shown(length: int) -> bool:
        approval: Mapping[str, Json] = {"path": "x" * length}
        denial = Denial(reason=Reason.POLICY_APPROVAL_REQUIRED, detail="", approval=approval)
        return "approval" in json.loads(refuse(denial).body)

    most = MAX_SHOWN_BYTES - len('{"path":""}')
    assert shown(most)
    assert not shown(most + 1)

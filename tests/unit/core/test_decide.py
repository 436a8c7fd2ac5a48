from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from deputize.core.call_patterns import CallPattern
from deputize.core.decide import decide, locate, mark, overrule, refuse
from deputize.core.model import (
    AccessRequest,
    Binding,
    Introspect,
    Protocol,
    Resource,
    Spend,
    UseOnce,
    VerifiedToken,
)
from deputize.core.reasons import Reason
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from deputize.core.rules import Budget
from deputize.core.snapshot import Snapshot
from deputize.core.status_list import StatusList
from deputize.core.token import Recall
from deputize.core.verdict import Decision, Denial, Effect, Permit, StatusWanted
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import Issuer
from tests.harness.world import (
    AGENT,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROXY,
    decide_now,
    make_key_ring,
    make_policies,
    make_request,
    make_rule,
    make_snapshot,
    make_svid,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

KEY = ProofKey()
STATUS_URI = "https://issuer.example/status/1"
STATUS = {"status_list": {"idx": 3, "uri": STATUS_URI}}


def issue(**claims: object) -> str:
    return shared_issuer().issue(now=NOW, claims=claims)


def prove(token: str, proof: str) -> AccessRequest:
    """A request with the scheme DPoP."""
    return make_request(headers={"authorization": f"DPoP {token}", "dpop": proof})


def world(*, token_header: str = "authorization", require_certificate: bool = False) -> Snapshot:
    return make_snapshot(
        shared_issuer(), token_header=token_header, require_certificate=require_certificate
    )


def remember(earlier: Decision) -> Recall:
    return lambda _text: earlier.proven.token


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256", "PS256", "Ed25519"])
def test_a_call_with_every_proof_is_allowed(algorithm: str) -> None:
    issuer = shared_issuer(algorithm)
    decision = decide_now(make_request(issuer.issue(now=NOW)), make_snapshot(issuer))
    assert decision.effect is Effect.ALLOW
    assert str(decision.rule) == "orders/read"


def test_an_allow_carries_all_its_proofs() -> None:
    request = make_request(issue(), proxies=(PROXY,), certificate=make_svid())
    snapshot = make_snapshot(shared_issuer(), allowed_proxies=[PROXY], require_certificate=True)
    decision = decide_now(request, snapshot)
    verdict, proven = decision.verdict, decision.proven
    assert isinstance(verdict, Permit)
    assert verdict.obligations == ()
    assert (verdict.peer, verdict.token, verdict.delegation, verdict.action, verdict.grant) == (
        proven.peer,
        proven.token,
        proven.delegation,
        proven.action,
        proven.grant,
    )
    assert (decision.decision_id, decision.policy_digest, decision.decided_at) == (
        request.decision_id,
        snapshot.digest,
        NOW,
    )


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (make_request(issue(), defect="x"), Reason.REQUEST_MALFORMED),
        (make_request(issue(), is_http=False), Reason.REQUEST_NOT_HTTP),
        (make_request(issue(), path="/v1/../admin"), Reason.REQUEST_AMBIGUOUS_PATH),
        (make_request(issue(), headers={"x-original-url": "/"}), Reason.REQUEST_OVERRIDE_HEADER),
        (make_request("a,b"), Reason.REQUEST_DUPLICATE_CREDENTIAL),
        (make_request(issue(), peer=""), Reason.PEER_MISSING),
        (make_request(issue(), peer="research"), Reason.PEER_MALFORMED),
        (make_request(issue(), peer="spiffe://x/y"), Reason.PEER_UNTRUSTED_DOMAIN),
        (make_request(issue(), certificate="x"), Reason.PEER_SVID_INVALID),
        (make_request(), Reason.TOKEN_MISSING),
        (make_request("x"), Reason.TOKEN_MALFORMED),
        (make_request(issue(aud="stock")), Reason.TOKEN_WRONG_AUDIENCE),
        (make_request(issue(cnf={"jkt": KEY.thumbprint})), Reason.TOKEN_WRONG_BINDING),
        (prove(issue(cnf={"jkt": KEY.thumbprint}), "x"), Reason.TOKEN_PROOF_INVALID),
        (prove(issue(), KEY.prove(issue(), now=NOW)), Reason.TOKEN_WRONG_BINDING),
        (make_request(issue(status=STATUS)), Reason.SYSTEM_STATUS_UNAVAILABLE),
        (make_request(issue(act=None)), Reason.DELEGATION_MALFORMED),
        (make_request(issue(), peer=OTHER_AGENT), Reason.DELEGATION_ACTOR_MISMATCH),
        (make_request(issue(), path="/v1/stock"), Reason.POLICY_NO_MATCH),
        (make_request(issue(), path="/v1/orders/secret/x"), Reason.POLICY_FORBIDDEN),
        (make_request(issue(), path="/v1/orders/secret"), Reason.POLICY_FORBIDDEN),
        (make_request(issue(), method="POST"), Reason.POLICY_INSUFFICIENT_SCOPE),
        (make_request(issue(scope="")), Reason.POLICY_INSUFFICIENT_SCOPE),
        (make_request(issue(), method="HEAD"), Reason.POLICY_NO_MATCH),
    ],
)
def test_each_question_can_refuse(request_: AccessRequest, reason: Reason) -> None:
    decision = decide_now(request_, world())
    assert (decision.effect, decision.reason) == (Effect.DENY, reason)


def test_a_refusal_keeps_what_was_proven() -> None:
    proven = decide_now(make_request(issue(), path="/v1/stock"), world()).proven
    assert proven.peer is not None
    assert proven.token is not None
    assert proven.delegation is not None
    assert proven.grant is None


def test_nothing_is_proven_by_an_unread_request() -> None:
    proven = decide_now(make_request(issue(), defect="x"), world()).proven
    assert (proven.action, proven.peer, proven.token, proven.delegation) == (None,) * 4


def test_the_token_may_stand_in_its_own_header() -> None:
    request = make_request(headers={"x-delegation-token": issue()})
    assert decide_now(request, world(token_header="x-delegation-token")).effect is Effect.ALLOW
    assert decide_now(request, world()).reason is Reason.TOKEN_MISSING


def test_a_fault_of_our_own_denies() -> None:
    def broken(_text: str) -> VerifiedToken | None:
        raise RuntimeError

    decision = decide(make_request(issue()), world(), NOW, broken)
    assert (decision.effect, decision.reason) == (Effect.DENY, Reason.SYSTEM_INTERNAL)


def test_without_fresh_keys_the_fault_is_ours() -> None:
    stale = replace(world(), key_rings={ISSUER_URL: make_key_ring(shared_issuer(), NOW - 1)})
    assert decide_now(make_request(issue()), stale).reason is Reason.SYSTEM_KEYS_UNAVAILABLE


def test_a_remembered_token_still_needs_its_peer() -> None:
    token = issue()
    first = decide_now(make_request(token), world())
    stolen = make_request(token, peer=OTHER_AGENT)
    decision = decide(stolen, world(), NOW, remember(first))
    assert decision.reason is Reason.DELEGATION_ACTOR_MISMATCH


STOPPED = replace(NOTHING_REVOKED, agents=frozenset({OTHER_AGENT}))


def test_an_agent_that_is_stopped_is_refused_itself_and_in_a_chain() -> None:
    snapshot = make_snapshot(shared_issuer(), revocations=STOPPED)
    itself = make_request(shared_issuer().issue(now=NOW, agent=OTHER_AGENT), peer=OTHER_AGENT)
    assert decide_now(itself, snapshot).reason is Reason.PEER_SUSPENDED
    behind = make_request(shared_issuer().issue(now=NOW, chain=[OTHER_AGENT]))
    assert decide_now(behind, snapshot).reason is Reason.DELEGATION_MEMBER_REFUSED
    assert decide_now(make_request(issue()), snapshot).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (replace(NOTHING_REVOKED, issuers=frozenset({ISSUER_URL})), Reason.TOKEN_REVOKED),
        (replace(NOTHING_REVOKED, agent_cutoffs={AGENT: NOW + 1}), Reason.TOKEN_REVOKED),
        (replace(NOTHING_REVOKED, agents=frozenset({AGENT})), Reason.PEER_SUSPENDED),
        (replace(NOTHING_REVOKED, usable_until=NOW - 1), Reason.SYSTEM_STATUS_UNAVAILABLE),
    ],
)
def test_a_remembered_token_may_have_been_revoked_since(
    changed: Revocations, reason: Reason
) -> None:
    request = make_request(issue())
    first = decide_now(request, world())
    assert first.effect is Effect.ALLOW
    since = replace(world(), revocations=changed)
    assert decide(request, since, NOW, remember(first)).reason is reason


def test_a_remembered_token_may_have_another_status_since() -> None:
    trusted = replace(make_trusted_issuer(), has_status_lists=True)
    request = make_request(issue(status=STATUS))

    def under(octets: bytes) -> Snapshot:
        listed = {(ISSUER_URL, STATUS_URI): StatusList(STATUS_URI, 1, octets, NOW, NOW)}
        return make_snapshot(shared_issuer(), trusted=[trusted], status_lists=listed)

    first = decide_now(request, under(b"\x00"))
    assert first.effect is Effect.ALLOW
    assert decide(request, under(b"\x08"), NOW, remember(first)).reason is Reason.TOKEN_REVOKED


def test_a_remembered_token_needs_its_proof_each_time() -> None:
    token = issue(cnf={"jkt": KEY.thumbprint})
    first = decide_now(prove(token, KEY.prove(token, now=NOW)), world())
    assert first.effect is Effect.ALLOW
    for request in (make_request(token), prove(token, ""), prove(token, "x")):
        assert decide(request, world(), NOW, remember(first)).effect is Effect.DENY


def test_a_permit_says_what_must_still_be_done() -> None:
    trusted = replace(make_trusted_issuer(), introspected=True)
    rules = [make_rule("orders/once", use_once=True)]
    snapshot = make_snapshot(shared_issuer(), trusted=[trusted], rules=rules)
    token = issue(cnf={"jkt": KEY.thumbprint})
    verdict = decide_now(prove(token, KEY.prove(token, now=NOW)), snapshot).verdict
    assert isinstance(verdict, Permit)
    asked, proof, once = verdict.obligations
    assert asked == Introspect(ISSUER_URL)
    assert isinstance(proof, UseOnce)
    assert proof.key.startswith("proof:")
    assert isinstance(once, UseOnce)
    assert once.key.startswith("token:")


def test_a_refusal_says_what_might_help() -> None:
    wanted = replace(make_trusted_issuer(), has_status_lists=True)
    snapshot = make_snapshot(shared_issuer(), trusted=[wanted])
    verdict = decide_now(make_request(issue(status=STATUS)), snapshot).verdict
    assert isinstance(verdict, Denial)
    assert verdict.wanted == StatusWanted(ISSUER_URL, STATUS_URI)


@pytest.mark.parametrize(
    "claims", [{}, {"scope": ""}, {"groups": ["sales"]}, {"exp": NOW - 60, "iat": NOW - 120}]
)
def test_memory_changes_no_answer(claims: Mapping[str, object]) -> None:
    token = issue(**claims)
    for path in ("/v1/orders/7", "/v1/stock", "/v1/orders/secret"):
        request = make_request(token, path=path)
        fresh = decide(request, world(), NOW, no_recall)
        recalled = decide(request, world(), NOW, remember(fresh))
        assert recalled.verdict == fresh.verdict


def test_a_decision_can_be_overruled_only_to_a_refusal() -> None:
    decision = decide_now(make_request(issue()), world())
    denial = Denial(reason=Reason.SYSTEM_AUDIT_UNAVAILABLE, detail="queue full")
    after = overrule(decision, denial)
    assert (after.effect, after.reason) == (Effect.DENY, Reason.SYSTEM_AUDIT_UNAVAILABLE)
    assert (after.decision_id, after.proven) == (decision.decision_id, decision.proven)
    assert (after.policy_digest, after.decided_at) == (decision.policy_digest, NOW)


def test_a_refusal_without_a_world() -> None:
    decision = refuse("d", Denial(reason=Reason.SYSTEM_NOT_READY, detail=""), NOW, "")
    assert (decision.effect, decision.reason) == (Effect.DENY, Reason.SYSTEM_NOT_READY)
    assert decision.proven.peer is None


def test_two_issuers_are_kept_apart() -> None:
    one, two = shared_issuer(), Issuer("https://two.example")
    snapshot = make_snapshot([one, two])
    assert decide_now(make_request(one.issue(now=NOW)), snapshot).effect is Effect.ALLOW
    assert decide_now(make_request(two.issue(now=NOW)), snapshot).reason is Reason.POLICY_NO_MATCH
    forged = two.issue(now=NOW, agent=AGENT, claims={"iss": one.url})
    assert decide_now(make_request(forged), snapshot).reason is Reason.TOKEN_BAD_SIGNATURE


# Calls in the body

MCP = Resource(Protocol.MCP, Binding.BODY, 0, "")
TOOL = CallPattern(Protocol.MCP, ("tools/call",), ("get_order",))
TOOL_RULE = make_rule("mcp/tool", methods=["POST"], paths=["/mcp"], call=TOOL)
LIST_ORDERS = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list"}}'
GET_ORDER = LIST_ORDERS.replace(b"list", b"get_order")


def call_tool(body: bytes, token: str | None, *, peer: str = AGENT) -> Decision:
    request = make_request(token, method="POST", path="/mcp", peer=peer)
    snapshot = make_snapshot(shared_issuer())
    policies = make_policies([TOOL_RULE], resources=[(HOST, "/mcp", MCP)])
    asked = request._replace(body=body, body_size=len(body))
    return decide_now(asked, replace(snapshot, policies=policies))


def test_a_call_in_the_body_is_decided() -> None:
    decision = call_tool(GET_ORDER, issue())
    assert decision.effect is Effect.ALLOW
    assert decision.proven.action is not None
    assert [call.name for call in decision.proven.action.calls] == ["get_order"]
    assert call_tool(LIST_ORDERS, issue()).reason is Reason.POLICY_NO_MATCH


@pytest.mark.parametrize(
    ("token", "peer", "reason"),
    [
        (None, AGENT, Reason.TOKEN_MISSING),
        ("x", AGENT, Reason.TOKEN_MALFORMED),
        (issue(), "", Reason.PEER_MISSING),
        (issue(), OTHER_AGENT, Reason.DELEGATION_ACTOR_MISMATCH),
        (issue(act=None), AGENT, Reason.DELEGATION_MALFORMED),
        (issue(), AGENT, Reason.REQUEST_BODY_UNREADABLE),
    ],
)
def test_a_body_is_read_only_once_the_mandate_is_shown(
    token: str | None, peer: str, reason: Reason
) -> None:
    decision = call_tool(b"{", token, peer=peer)
    assert decision.reason is reason
    assert decision.proven.resource == MCP


def test_a_forbidden_call_without_a_mandate_says_nothing_of_the_policy() -> None:
    decision = call_tool(LIST_ORDERS, None)
    assert decision.proven.action is not None
    assert decision.proven.action.calls == ()
    assert decision.rule is None


# Policies that are only observed


def test_an_observed_refusal_is_an_allow_that_says_so() -> None:
    snapshot = make_snapshot(shared_issuer())
    watched = replace(snapshot, policies=make_policies([], is_observed=True))
    decision = decide_now(make_request(issue()), watched)
    assert (decision.effect, decision.reason) == (Effect.ALLOW, Reason.POLICY_ALLOWED)
    assert decision.observed is not None
    assert decision.observed.reason is Reason.POLICY_NO_MATCH
    assert decision.rule is None
    assert decide_now(make_request(None), watched).reason is Reason.TOKEN_MISSING


def test_an_allow_can_be_marked_with_what_would_have_refused_it() -> None:
    decision = decide_now(make_request(issue()), world())
    assert isinstance(decision.verdict, Permit)
    denial = Denial(reason=Reason.POLICY_BUDGET_EXHAUSTED, detail="")
    marked = mark(decision, decision.verdict, denial)
    assert (marked.effect, marked.observed) == (Effect.ALLOW, denial)
    assert isinstance(marked.verdict, Permit)
    assert replace(marked.verdict, observed=None) == decision.verdict
    again = mark(marked, marked.verdict, Denial(reason=Reason.POLICY_FORBIDDEN, detail=""))
    assert again.observed == denial
    assert overrule(marked, denial).observed is None


def test_what_a_rule_obliges_to_is_owed() -> None:
    rule = make_rule(budget=Budget(3, 60, frozenset()), use_once=True)
    verdict = decide_now(
        make_request(issue()), make_snapshot(shared_issuer(), rules=[rule])
    ).verdict
    assert isinstance(verdict, Permit)
    assert {type(duty) for duty in verdict.obligations} == {Spend, UseOnce}


def test_the_names_of_errors_of_our_own_are_found() -> None:
    assert locate(ValueError("secret")) == "ValueError"

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from deputize.core.decide import decide, overrule, refuse
from deputize.core.model import AccessRequest, VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from deputize.core.token import Recall
from deputize.core.verdict import Decision, Denial, Effect, Permit
from tests.harness.issuer import Issuer
from tests.harness.world import (
    AGENT,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROXY,
    decide_now,
    make_key_ring,
    make_request,
    make_snapshot,
    make_svid,
    no_recall,
    shared_issuer,
)


def issue(**claims: object) -> str:
    return shared_issuer().issue(now=NOW, claims=claims)


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

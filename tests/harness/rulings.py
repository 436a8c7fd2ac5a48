"""Evaluates rules in a case that can be varied in every part, without a token or a proxy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from deputize.core.case import Case
from deputize.core.keys import KeyRing
from deputize.core.model import (
    AccessRequest,
    Action,
    Actor,
    Assurance,
    Call,
    Confirmation,
    Delegation,
    DelegationStyle,
    Json,
    Kind,
    Mandate,
    Peer,
    PeerSource,
    Principal,
    Protocol,
    RuleRef,
    Scope,
    VerifiedToken,
)
from deputize.core.paths import parse_path
from deputize.core.policy import Ruling, evaluate
from deputize.core.reasons import Reason
from deputize.core.rules import Policies, Rule
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.verdict import Denied, Effect
from tests.harness.world import AGENT, HOST, ISSUER_URL, NOW, make_policies, make_request

ALLOWED = Reason.POLICY_ALLOWED
NEAREST = "insufficient_scope scope_not_delegable condition_failed evaluation_error"
"""What stood in the way of a grant, what was nearest to it first."""
NO_KEYS: Mapping[str, KeyRing] = MappingProxyType({})


class Answer(NamedTuple):
    """What an evaluation says: `scopes` are those granted, `observed` is what was only recorded."""

    reason: Reason
    rule: RuleRef | None
    scopes: frozenset[Scope] = frozenset()
    observed: Reason | None = None

    @property
    def effect(self) -> Effect:
        """Allow for the one reason of an allow."""
        return Effect.ALLOW if self.reason is ALLOWED else Effect.DENY


def answer(case: Case, policies: Policies | Iterable[Rule]) -> Answer:
    """What the evaluation says of all calls of the case."""
    try:
        grant, observed = rule_on(case, policies)
    except Denied as denied:
        return Answer(denied.denial.reason, denied.denial.rule)
    watched = None if observed is None else observed.reason
    return Answer(ALLOWED, grant.rule, grant.scopes, watched)


def mcp_call(
    name: str = "get_order",
    arguments: Mapping[str, Json] | None = MappingProxyType({}),
    *,
    method: str = "tools/call",
) -> Call:
    """A call of a tool."""
    return Call(Protocol.MCP, method, name, arguments, 1)


def make_case(
    *calls: Call,
    method: str = "GET",
    path: str = "/v1/orders/7",
    upgrade: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    issuer: str = ISSUER_URL,
    subject: str = "alice",
    claims: Mapping[str, Json] = MappingProxyType({}),
    scopes: Iterable[str] = ("orders:read",),
    agent: str = AGENT,
    chain: Iterable[str] = (AGENT,),
    confirmation: Confirmation | None = None,
    now: float = NOW,
) -> Case:
    """A GET of an order by the default agent for alice; `chain` has the current actor first."""
    delegation = Delegation(
        Principal(issuer, subject, Kind.USER, claims),
        parse_spiffe_id(agent),
        tuple(Actor(name, "", Kind.AGENT) for name in chain),
        frozenset(map(Scope, scopes)),
        DelegationStyle.DELEGATED,
    )
    action = Action(method, HOST, parse_path(path), upgrade, calls)
    request = make_request(method=method, path=path, headers=headers, peer=agent)
    return case_of(delegation, action, request, confirmation=confirmation, now=now)


def case_of(
    delegation: Delegation,
    action: Action,
    request: AccessRequest,
    *,
    confirmation: Confirmation | None = None,
    now: float = NOW,
) -> Case:
    """The case of this delegation; its token was issued a minute ago and lives for five."""
    peer = Peer(delegation.agent, Assurance.ASSERTED_BY_PROXY, PeerSource.PRINCIPAL, "")
    mandate = Mandate(
        delegation.agent, delegation.chain, frozenset(), frozenset(), delegation.style
    )
    token = VerifiedToken(
        principal=delegation.principal,
        audience=("orders",),
        client_id="client",
        token_id="token-1",
        use_key="token:1",
        scopes=delegation.scopes,
        issued_at=NOW - 60,
        not_before=NOW - 60,
        expires_at=NOW + 240,
        confirmation=confirmation,
        status=None,
        mandate=mandate,
        key_id="k1",
        algorithm="ES256",
        key_thumbprint="thumbprint",
        trust_digest="trust",
        digest="digest",
    )
    call = action.calls[0] if action.calls else None
    return Case(request, peer, token, delegation, action, call, now)


def rule_on(
    case: Case, policies: Policies | Iterable[Rule], key_rings: Mapping[str, KeyRing] = NO_KEYS
) -> Ruling:
    """The ruling on all calls of the case.

    Raises:
        Denied: as the evaluation does.
    """
    used = policies if isinstance(policies, Policies) else make_policies(policies)
    request, peer, token, delegation, action, _call, now = case
    return evaluate(request, peer, token, delegation, action, used, key_rings, now)

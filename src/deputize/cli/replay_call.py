"""Recorded events as calls that can be put to other policies.

Rules of this file:
- A recorded fact that the call cannot have itself stands in a claim, under a name that no claim of
  a real token has here.
"""

from __future__ import annotations

from deputize.cli.recorded import Recorded, RecordedCall
from deputize.cli.replay_conditions import RECORDED_FACTS, claims_of
from deputize.cli.replay_expressions import (
    asks_for_time,
    claim_of_claim,
    claim_of_fact,
    facts_of_expression,
)
from deputize.cli.replay_variants import login_claims
from deputize.cli.supposed_call import DEFAULT_AT, SupposedCall
from deputize.config.policy_compiler import CompiledPolicies
from deputize.core.case import Source
from deputize.core.comparisons import Compares, EqualsClaim, Exists
from deputize.core.conditions import Expression, Within
from deputize.core.model import Binding, DelegationStyle, Json, Kind, Protocol, Resource
from deputize.core.paths import PathError, parse_path
from deputize.core.pattern_trees import RouteTree
from deputize.core.rules import Rule

_POST = "POST"


class Asked:
    """What policies ask about beside what every supposed call has."""

    def __init__(self, policies: CompiledPolicies) -> None:
        self.claims: frozenset[str] = frozenset()
        self.login: frozenset[str] = frozenset()
        self.facts: frozenset[tuple[Source, str]] = frozenset()
        self.time = False
        self.approvals = False
        limiting = [p for entry in policies.limits.principal_scopes for p in entry.principals]
        self.claims = self.claims.union(*(pattern.claims for pattern in limiting))
        for rule in policies.rules:
            self._add(rule)

    def _add(self, rule: Rule) -> None:
        self.claims = self.claims.union(*(pattern.claims for pattern in rule.principals))
        self.approvals = self.approvals or rule.approval is not None
        if rule.step_up is not None:
            self.login = self.login.union(login_claims(rule.step_up))
            self.claims = self.claims.union(self.login)
            self.time = self.time or rule.step_up.max_age is not None
        for condition in rule.conditions:
            self.claims = self.claims.union(claims_of(condition))
            if isinstance(condition, Within):
                self.time = True
            elif isinstance(condition, Expression):
                self.time = self.time or asks_for_time(condition)
                self.facts |= facts_of_expression(condition)
            elif isinstance(condition, Compares | Exists | EqualsClaim):
                fact = (condition.fact.source, condition.fact.name[0])
                if fact in RECORDED_FACTS:
                    self.facts |= {fact}


def suppose(event: Recorded, asked: Asked) -> SupposedCall:
    """The call with all that is recorded of it, and that these policies ask about."""
    principal, scopes, chain = event.principal, event.scopes, event.chain
    if principal is None or scopes is None or chain is None or event.agent is None:
        raise ValueError("policies were not asked about this event")
    recorded = event.claims or {}
    claims: dict[str, Json] = {
        claim_of_claim(name): recorded[name] for name in asked.claims & recorded.keys()
    }
    claims |= {name: recorded[name] for name in asked.login & recorded.keys()}
    for source, name in asked.facts:
        claims[claim_of_fact(source, name)] = _fact(event, source, name)
    is_autonomous = event.style is DelegationStyle.AUTONOMOUS
    return SupposedCall(
        agent=event.agent,
        issuer=principal.issuer,
        subject=principal.subject,
        claims=claims,
        scopes=frozenset(scopes.token),
        # Their names stand in a claim where policies ask for them.
        chain=tuple(f"earlier-actor-{position}" for position in range(1, len(chain))),
        kind=Kind.AGENT if is_autonomous else Kind.UNKNOWN,
        method=event.http.method,
        host=event.http.host,
        path=event.http.path,
        upgrade=event.http.upgrade,
        at=event.time.timestamp() if asked.time else DEFAULT_AT,
    )


def read_again(
    event: Recorded, resources: RouteTree[list[Resource]]
) -> tuple[RecordedCall, ...] | None:
    """The calls these resources would find in the request; None where that is not recorded."""
    resource = _find(event, resources)
    if resource is None or resource.protocol is None:
        return ()
    if event.calls:
        is_same = all(call.protocol is resource.protocol for call in event.calls)
        return event.calls if is_same else None
    reads_body = resource.protocol is Protocol.MCP or resource.binding is Binding.JSON_RPC
    return () if reads_body and event.http.method != _POST else None


def _find(event: Recorded, resources: RouteTree[list[Resource]]) -> Resource | None:
    try:
        segments = parse_path(event.http.path)
    except PathError:
        return None
    found = resources.find(bare_host(event.http.host), segments)
    return found[0][0] if found else None


def bare_host(host: str) -> str:
    """The host in lower case without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()


def _fact(event: Recorded, source: Source, name: str) -> Json:
    actors = [actor.subject for actor in event.chain or ()]
    binding = event.token.binding if event.token is not None else ""
    match source, name:
        case Source.PEER, _:
            return event.peer.assurance if event.peer is not None else None
        case Source.CHAIN, "actors":
            return list[Json](actors)
        case Source.CHAIN, "depth":
            return len(actors)
        case Source.CHAIN, "origin":
            return actors[-1] if actors else None
        case Source.CHAIN, _:
            return event.style.value if event.style is not None else None
        case Source.PRINCIPAL, _:
            return event.principal.kind.value if event.principal is not None else None
        case Source.TOKEN, "binding":
            return ("certificate" if binding.startswith("certificate") else binding) or "none"
        case _:
            return event.token.expires_at - event.time.timestamp() if event.token else None

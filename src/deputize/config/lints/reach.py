"""The lint about rules that never cover, or never grant: `unreachable`. Here: who and when.

Rules of this file:
- Only what is certainly so: a wildcard, a claim or a group may always be somebody.
- A rule is one finding, for the first reason found. What is wrong with single entries of its calls
  is in `words.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

from deputize.config.containment import agent_covers, principals_overlap
from deputize.config.lints.subject import PlacedRule, Subject
from deputize.config.lints.table import Lint
from deputize.config.lints.words import dead_calls
from deputize.config.problems import Problem
from deputize.config.resources import hosts_overlap, paths_overlap, protocol_of
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, Exists, Operator
from deputize.core.conditions import Condition, Within
from deputize.core.limits import Limits
from deputize.core.matching import ANY, AgentPattern, PrincipalPattern
from deputize.core.model import Binding, Protocol, Scope

_METHODS = {
    (Protocol.MCP, Binding.BODY): {"POST"},
    (Protocol.MCP, Binding.HEADERS): {"POST"},
    (Protocol.A2A, Binding.JSON_RPC): {"POST"},
    (Protocol.A2A, Binding.REST): {"DELETE", "GET", "POST"},
    (Protocol.GRPC, None): {"POST"},
}
"""HTTP methods that calls are read from; those of A2A over gRPC are not looked at."""
_WITHOUT_ARGUMENTS = frozenset({Binding.REST, Binding.GRPC})
_FIXED = frozenset({Operator.EQUALS, Operator.ONE_OF})


class _Reason(NamedTuple):
    message: str
    where: tuple[str | int, ...]


def find_unreachable(subject: Subject) -> Iterator[Problem]:
    """Rules, and entries of rules, that do nothing."""
    for placed in subject.rules:
        reason = (
            _without_route(placed, subject)
            or _never_holds(placed, subject.now)
            or _nobody(placed, subject)
        )
        if reason is not None:
            yield placed.finding(Lint.UNREACHABLE, reason.message, *reason.where)
        yield from dead_calls(placed)


def _without_route(placed: PlacedRule, subject: Subject) -> _Reason | None:
    """HTTP methods no call is read from, or arguments where none are read."""
    rule, protocol = placed.rule, protocol_of(placed.written)
    if protocol is None:
        return None
    bindings = {
        route.resource.binding
        for route in subject.policies.routes
        if route.resource.protocol is protocol
        and any(hosts_overlap(host, route.host) for host in rule.hosts)
        and any(paths_overlap(path, route.path) for path in rule.paths)
    }
    read = [_METHODS.get((protocol, binding), {ANY}) for binding in bindings]
    methods = set(itertools.chain.from_iterable(read))
    if ANY not in methods and methods.isdisjoint(rule.methods) and ANY not in rule.methods:
        known = ", ".join(f"`{method}`" for method in sorted(methods))
        return _Reason(f"calls of `{protocol.value}` are read from {known} only", ("methods",))
    if placed.is_allow and bindings <= _WITHOUT_ARGUMENTS and protocol is Protocol.A2A:
        for position, when in enumerate(placed.written.when or ()):
            if when.argument is not None:
                message = "arguments are not known on these routes, so it never grants"
                return _Reason(message, ("when", position, "argument"))
    return None


def _never_holds(placed: PlacedRule, now: float) -> _Reason | None:
    """Times that are over, and conditions that rule each other out."""
    conditions = placed.rule.conditions
    for position, condition in enumerate(conditions):
        if isinstance(condition, Within):
            if condition.not_after <= now:
                message = "never holds again: `notAfter` is over"
                return _Reason(message, ("when", position, "time", "notAfter"))
            if condition.not_after <= condition.not_before < math.inf:
                message = "never holds: `notAfter` is not behind `notBefore`"
                return _Reason(message, ("when", position, "time", "notAfter"))
    if not placed.is_allow:
        # A fact of another type cannot be compared, and then a forbid refuses.
        return None
    for second, later in enumerate(conditions):
        for first, earlier in enumerate(conditions[:second]):
            if _exclude(earlier, later):
                message = f"never holds together with `when[{first}]`"
                return _Reason(message, ("when", second))
    return None


def _exclude(first: Condition, second: Condition) -> bool:
    if isinstance(first, Exists) and isinstance(second, Exists):
        return first.fact == second.fact and first.is_there != second.is_there
    if isinstance(first, Exists) or isinstance(second, Exists):
        absent, other = (first, second) if isinstance(first, Exists) else (second, first)
        return isinstance(absent, Exists) and not absent.is_there and _fact(other) == absent.fact
    if not isinstance(first, Compares) or not isinstance(second, Compares):
        return False
    return (
        first.fact == second.fact
        and first.fact.source is not Source.PATH
        and {first.operator, second.operator} <= _FIXED
        and set(first.values).isdisjoint(second.values)
    )


def _fact(condition: Condition) -> Fact | None:
    return condition.fact if isinstance(condition, Compares) else None


def _nobody(placed: PlacedRule, subject: Subject) -> _Reason | None:
    """Agents and principals of whom none can have the scopes, or act for the other."""
    rule, limits = placed.rule, subject.policies.limits
    agents = [agent for agent in rule.agents if rule.scopes <= _ceiling(agent, limits, rule.scopes)]
    if not agents:
        message = "never grants: `agentCeilings` keep these scopes from every agent it names"
        return _Reason(message, ("scopes",))
    principals = [
        entry for entry in rule.principals if rule.scopes <= _delegable(entry, limits, rule.scopes)
    ]
    if not principals:
        message = "never grants: by `principalScopes` nobody it names may delegate these scopes"
        return _Reason(message, ("scopes",))
    if not any(
        _may_name(agent, entry, subject) for agent in rule.agents for entry in rule.principals
    ):
        message = "covers nothing: its issuers may name no agent of these trust domains"
        return _Reason(message, ("agents",))
    forbidden = set(subject.service.delegation.forbidden_actors)
    if all(agent.is_exact and agent.text in forbidden for agent in rule.agents):
        message = "covers nothing: each of its agents is in `delegation.forbiddenActors`"
        return _Reason(message, ("agents",))
    return None


def _ceiling(agent: AgentPattern, limits: Limits, most: frozenset[Scope]) -> frozenset[Scope]:
    """Of these scopes those that some agent of the pattern may have."""
    for ceiling in limits.agent_ceilings:
        if any(agent_covers(pattern, agent) for pattern in ceiling.agents):
            most &= ceiling.scopes
    return most


def _delegable(
    principal: PrincipalPattern, limits: Limits, most: frozenset[Scope]
) -> frozenset[Scope]:
    """Of these scopes those that some principal of the pattern may delegate."""
    if principal.issuer not in limits.limited_issuers:
        return most
    return most & frozenset(
        scope
        for entry in limits.principal_scopes
        if any(principals_overlap(pattern, principal) for pattern in entry.principals)
        for scope in entry.scopes
    )


def _may_name(agent: AgentPattern, principal: PrincipalPattern, subject: Subject) -> bool:
    issuer = subject.issuers.get(principal.issuer)
    domains = None if issuer is None else issuer.agent_trust_domains
    return domains is None or agent.segments[0] in domains

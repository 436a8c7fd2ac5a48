"""From checked policies to the rules of the core, with every check that spans files.

Rules of this file:
- All problems are collected, none stops the search for others.
- A rule that can never match because it names something unknown is a problem, not a no-op.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deputize.config.condition_compiler import compile_condition
from deputize.config.policy_schema import DelegationPolicy, OnBehalfOf, PolicyRule
from deputize.config.problems import Problem
from deputize.config.resources import Resources, Route, with_trailing_slash
from deputize.config.strict_yaml import Document, Location
from deputize.core.approval import ApprovalNeed
from deputize.core.call_patterns import CallPattern
from deputize.core.conditions import Condition
from deputize.core.limits import AgentCeiling, Limits, PrincipalScopes
from deputize.core.matching import (
    PathPattern,
    PrincipalPattern,
    parse_agent_pattern,
    parse_path_pattern,
)
from deputize.core.model import Protocol, Resource, RuleRef, Scope, StepUp, UpstreamFact
from deputize.core.pattern_trees import RouteTree
from deputize.core.policy import DEFAULT_FACTS
from deputize.core.rules import Budget, BudgetPart, Rule, RuleEffect

SourcedPolicies = list[tuple[DelegationPolicy, Document]]


@dataclass(frozen=True, slots=True)
class CompiledPolicies:
    """All policies: `routes` are those of `resources`, one by one."""

    rules: tuple[Rule, ...]
    resources: RouteTree[list[Resource]]
    routes: tuple[Route, ...]
    limits: Limits


def compile_policies(policies: SourcedPolicies) -> tuple[CompiledPolicies, list[Problem]]:
    """Builds the values of the core and names every problem found on the way."""
    problems = _check_names(policies)
    resources = Resources(policies)
    problems += resources.problems
    rules: list[Rule] = []
    ceilings: list[AgentCeiling] = []
    delegable: list[PrincipalScopes] = []
    for policy, document in policies:
        spec = policy.spec
        for position, entry in enumerate(spec.rules):
            place: Location = ("spec", "rules", position)
            problems += resources.check_rule(entry, document, place)
            rule, found = _compile_rule(policy, entry, document, place)
            rules.append(rule)
            problems += found
        ceilings += (
            AgentCeiling(tuple(map(parse_agent_pattern, entry.agents)), _scopes(entry.scopes))
            for entry in spec.agent_ceilings
        )
        delegable += (
            PrincipalScopes(tuple(map(_principal, entry.on_behalf_of)), _scopes(entry.scopes))
            for entry in spec.principal_scopes
        )
    compiled = CompiledPolicies(
        tuple(rules), resources.tree, tuple(resources.routes), Limits(ceilings, delegable)
    )
    return compiled, problems


def _compile_rule(
    policy: DelegationPolicy, rule: PolicyRule, document: Document, place: Location
) -> tuple[Rule, list[Problem]]:
    effect = RuleEffect(rule.effect)
    paths = tuple(parse_path_pattern(text) for text in rule.paths)
    if effect is RuleEffect.FORBID:
        paths = with_trailing_slash(paths)
    conditions, problems = _conditions(rule, paths, document, place)
    obligations, step_up, budget = rule.obligations, rule.step_up, rule.budget
    compiled = Rule(
        ref=RuleRef(policy.metadata.name, rule.name),
        effect=effect,
        agents=tuple(parse_agent_pattern(text) for text in rule.agents),
        principals=tuple(_principal(entry) for entry in rule.on_behalf_of),
        hosts=tuple(rule.hosts),
        methods=tuple(rule.methods),
        paths=paths,
        call=_call(rule),
        upgrades=frozenset(rule.upgrades or ()),
        conditions=conditions,
        scopes=_scopes(rule.scopes or ()),
        max_depth=rule.chain.max_depth if rule.chain else None,
        step_up=None
        if step_up is None
        else StepUp(tuple(step_up.acr_values or ()), step_up.max_age_seconds),
        approval=None
        if rule.approval is None
        else ApprovalNeed(frozenset(rule.approval.services), rule.approval.approver_not_principal),
        budget=None
        if budget is None
        else Budget(budget.limit, budget.window_seconds, frozenset(map(BudgetPart, budget.per))),
        upstream_facts=DEFAULT_FACTS
        if obligations is None
        else tuple(UpstreamFact(name) for name in obligations.upstream_headers),
        use_once=obligations is not None and obligations.use_token_once,
        is_observed=policy.spec.mode == "observe",
    )
    return compiled, problems


def _conditions(
    rule: PolicyRule, paths: tuple[PathPattern, ...], document: Document, place: Location
) -> tuple[tuple[Condition, ...], list[Problem]]:
    conditions: list[Condition] = []
    problems: list[Problem] = []
    for position, when in enumerate(rule.when or ()):
        try:
            conditions.append(compile_condition(when, paths))
        except (ValueError, ImportError) as error:
            problems.append(document.problem((*place, "when", position), str(error)))
    return tuple(conditions), problems


def _call(rule: PolicyRule) -> CallPattern | None:
    if rule.mcp is not None:
        return CallPattern(Protocol.MCP, tuple(rule.mcp.methods), tuple(rule.mcp.names or ()))
    if rule.a2a is not None:
        return CallPattern(Protocol.A2A, tuple(rule.a2a.operations), ())
    return None if rule.grpc is None else CallPattern(Protocol.GRPC, tuple(rule.grpc.methods), ())


def _scopes(texts: Iterable[str]) -> frozenset[Scope]:
    return frozenset(map(Scope, texts))


def _principal(entry: OnBehalfOf) -> PrincipalPattern:
    claims: Mapping[str, frozenset[str]] = {
        name: frozenset(values) for name, values in (entry.claims or {}).items()
    }
    return PrincipalPattern(entry.issuer, frozenset(entry.subjects or ()), MappingProxyType(claims))


def _check_names(policies: SourcedPolicies) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for policy, document in policies:
        name = policy.metadata.name
        if name in first:
            message = f"policy `{name}` stands in {first[name]} too"
            problems.append(document.problem(("metadata", "name"), message))
        first.setdefault(name, document.file)
        seen: set[str] = set()
        for position, rule in enumerate(policy.spec.rules):
            if rule.name in seen:
                message = f"rule `{rule.name}` stands twice"
                problems.append(document.problem(("spec", "rules", position, "name"), message))
            seen.add(rule.name)
    return problems

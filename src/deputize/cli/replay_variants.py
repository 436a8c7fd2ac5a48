"""Policies twice, for events that do not record all they ask: once for the call, once against.

What a rule asks of a recorded fact is asked of a claim of the supposed token that holds it. What
it asks of anything else is taken as met in favour of the call, and as not met against it. Every
refusal of the one is then a refusal of the other, so where both agree the answer is certain.

Rules of this file:
- A fact is known only where an event records it exactly; all else is unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from deputize.cli.replay_conditions import (
    Unknown,
    ask_condition,
    find_in_condition,
    unknown_claim,
)
from deputize.cli.replay_expressions import claim_of_claim
from deputize.config.policy_compiler import CompiledPolicies
from deputize.core.case import Case
from deputize.core.conditions import Condition
from deputize.core.limits import Limits, PrincipalScopes
from deputize.core.matching import PrincipalPattern
from deputize.core.model import Resource, RuleRef, StepUp
from deputize.core.pattern_trees import RouteTree
from deputize.core.rules import Rule, RuleEffect

_NOBODY = frozenset({"\0"})
"""No subject of a token: it cannot be printed."""


class Known(NamedTuple):
    """What is known of a call beside what every event records.

    `claims` are names whose value or absence is recorded. `approvals` are the services that
    approved it, each with whether the principal did. `calls` is false where the policies read
    calls that the event does not have.
    """

    claims: frozenset[str]
    approvals: frozenset[tuple[str, bool]]
    calls: bool


@dataclass(frozen=True, slots=True)
class Assumed:
    """A condition that cannot be asked, taken as met or as not met."""

    text: str
    is_met: bool

    def holds(self, _case: Case) -> bool:
        """Never raises."""
        return self.is_met


@dataclass(frozen=True, slots=True)
class Variants:
    """Both, and what is unknown by rule; under None what limits hang on."""

    favourable: CompiledPolicies
    adverse: CompiledPolicies
    unknown: Mapping[RuleRef | None, tuple[Unknown, ...]]


def find_unknown(rule: Rule, known: Known) -> tuple[Unknown, ...]:
    """What the rule asks about that is not known."""
    found = [
        unknown for each in rule.conditions for unknown in find_in_condition(each, known.claims)
    ]
    found += (
        unknown_claim(name) for p in rule.principals for name in p.claims.keys() - known.claims
    )
    if rule.call is not None and not known.calls:
        found.append(Unknown("the calls in the request"))
    if rule.approval is not None and not _is_approved(rule, known):
        found.append(Unknown("an approval"))
    if rule.step_up is not None:
        found += map(unknown_claim, login_claims(rule.step_up) - known.claims)
    return tuple(dict.fromkeys(found))


def login_claims(need: StepUp) -> set[str]:
    """The claims a login is seen by."""
    asked = (("acr", bool(need.acr_values)), ("auth_time", need.max_age is not None))
    return {name for name, is_asked in asked if is_asked}


def vary(policies: CompiledPolicies, known: Known) -> Variants:
    """The policies in favour of a call of which so much is known, and against it."""
    unknown: dict[RuleRef | None, tuple[Unknown, ...]] = {
        rule.ref: found for rule in policies.rules if (found := find_unknown(rule, known))
    }
    limiting = {
        name
        for entry in policies.limits.principal_scopes
        for pattern in entry.principals
        for name in pattern.claims.keys() - known.claims
    }
    unknown[None] = tuple(map(unknown_claim, sorted(limiting)))
    return Variants(
        _assume(policies, known, is_favourable=True),
        _assume(policies, known, is_favourable=False),
        unknown,
    )


def _assume(policies: CompiledPolicies, known: Known, *, is_favourable: bool) -> CompiledPolicies:
    rules: list[Rule] = []
    for rule in policies.rules:
        is_met = is_favourable is (rule.effect is RuleEffect.ALLOW)
        if known.calls or rule.call is None or is_met:
            rules.append(_rule(rule, known, is_met=is_met))
    delegable = [
        PrincipalScopes(
            # Who is limited stays so, even where nobody is known to be meant.
            tuple(_principals(entry.principals, known, is_met=is_favourable))
            + tuple(PrincipalPattern(p.issuer, _NOBODY, {}) for p in entry.principals),
            entry.scopes,
        )
        for entry in policies.limits.principal_scopes
    ]
    nothing: RouteTree[list[Resource]] = RouteTree(list)
    return CompiledPolicies(
        tuple(rules),
        policies.resources if known.calls else nothing,
        policies.routes if known.calls else (),
        Limits(policies.limits.agent_ceilings, delegable),
    )


def _rule(rule: Rule, known: Known, *, is_met: bool) -> Rule:
    conditions: list[Condition] = [
        Assumed(condition.text, is_met)
        if find_in_condition(condition, known.claims)
        else ask_condition(condition)
        for condition in rule.conditions
    ]
    step_up = rule.step_up
    if step_up is not None and is_met:
        step_up = StepUp(
            step_up.acr_values if "acr" in known.claims else (),
            step_up.max_age if "auth_time" in known.claims else None,
        )
    return replace(
        rule,
        principals=tuple(_principals(rule.principals, known, is_met=is_met)),
        call=rule.call if known.calls else None,
        conditions=tuple(conditions),
        step_up=step_up,
        approval=None if is_met or _is_approved(rule, known) else rule.approval,
    )


def _principals(
    patterns: Iterable[PrincipalPattern], known: Known, *, is_met: bool
) -> Iterable[PrincipalPattern]:
    for pattern in patterns:
        if is_met or pattern.claims.keys() <= known.claims:
            claims = {
                claim_of_claim(name): values
                for name, values in pattern.claims.items()
                if name in known.claims
            }
            yield PrincipalPattern(pattern.issuer, pattern.subjects, MappingProxyType(claims))


def _is_approved(rule: Rule, known: Known) -> bool:
    need = rule.approval
    return need is not None and any(
        service in need.services and not (by_principal and need.approver_not_principal)
        for service, by_principal in known.approvals
    )

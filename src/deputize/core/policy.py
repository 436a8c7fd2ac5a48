"""Stage 4: is it good for this case? Default deny; a forbid wins; scopes intersect.

Rules of this file:
- `evaluate` is the whole law. Rules come from the index; order and duplicates do not matter.
- An allow needs one rule that covers agent, principal and action, and whose scopes the token
  has all and whose conditions hold. Of several the first by name determines the answer.
- What is granted are the scopes that rule needs, no others of the token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from deputize.core.matching import AgentPattern, PathPattern, PrincipalPattern
from deputize.core.model import Action, Delegation, Grant, RuleRef, Scope, UpstreamFact
from deputize.core.policy_index import PolicyIndex
from deputize.core.reasons import Reason
from deputize.core.verdict import Denied


class RuleEffect(StrEnum):
    """What a rule does when it covers a call."""

    ALLOW = "allow"
    FORBID = "forbid"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It covers a call when each of the five dimensions has a matching pattern.

    `scopes`, `max_depth` (hops, None for no limit of its own), `upstream_facts` and `use_once`
    belong to allow rules only.
    """

    ref: RuleRef
    effect: RuleEffect
    agents: tuple[AgentPattern, ...]
    principals: tuple[PrincipalPattern, ...]
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    paths: tuple[PathPattern, ...]
    scopes: frozenset[Scope]
    max_depth: int | None
    upstream_facts: tuple[UpstreamFact, ...]
    use_once: bool


def evaluate(delegation: Delegation, action: Action, rules: PolicyIndex[Rule]) -> Grant:
    """Finds the grant for this call.

    Raises:
        Denied: policy.forbidden, policy.no_match, policy.insufficient_scope,
            policy.condition_failed.
    """
    covering = rules.covering(delegation.agent, delegation.principal, action)
    forbidding: list[Rule] = []
    granting: list[Rule] = []
    for rule in covering:
        if rule.effect is RuleEffect.FORBID:
            forbidding.append(rule)
        elif _unmet(rule, delegation) is None:
            granting.append(rule)
    if forbidding:
        forbid = _first(forbidding)
        raise Denied(Reason.POLICY_FORBIDDEN, "a forbid rule covers the call", rule=forbid.ref)
    if not granting:
        raise _nearest_miss(covering, delegation)
    grant = _first(granting)
    # The token has them all, so the scopes of the rule are the intersection.
    return Grant(grant.ref, grant.scopes, grant.upstream_facts, grant.use_once)


def _unmet(rule: Rule, delegation: Delegation) -> Reason | None:
    """Which condition of an allow rule does not hold; None when all do."""
    if rule.max_depth is not None and len(delegation.chain) > rule.max_depth:
        return Reason.POLICY_CONDITION_FAILED
    if not rule.scopes <= delegation.scopes:
        return Reason.POLICY_INSUFFICIENT_SCOPE
    return None


def _nearest_miss(covering: Iterable[Rule], delegation: Delegation) -> Denied:
    """Why no rule granted: a missing scope is nearer than a condition, and that than no rule."""
    missed: dict[Reason | None, list[Rule]] = {}
    for rule in covering:
        missed.setdefault(_unmet(rule, delegation), []).append(rule)
    if Reason.POLICY_INSUFFICIENT_SCOPE in missed:
        rule = _first(missed[Reason.POLICY_INSUFFICIENT_SCOPE])
        missing = " ".join(sorted(rule.scopes - delegation.scopes))
        return Denied(
            Reason.POLICY_INSUFFICIENT_SCOPE,
            f"rule {rule.ref} needs {missing}",
            rule=rule.ref,
            needed_scopes=rule.scopes,
        )
    if Reason.POLICY_CONDITION_FAILED in missed:
        rule = _first(missed[Reason.POLICY_CONDITION_FAILED])
        return Denied(
            Reason.POLICY_CONDITION_FAILED,
            f"rule {rule.ref} allows a chain of {rule.max_depth} hops",
            rule=rule.ref,
        )
    return Denied(Reason.POLICY_NO_MATCH, "no rule covers the call")


def _first(rules: list[Rule]) -> Rule:
    """The first by name, so that the order of files and rules does not matter."""
    return rules[0] if len(rules) == 1 else min(rules, key=lambda rule: rule.ref)

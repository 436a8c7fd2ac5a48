"""The law of policies once more, as plainly as it can be said: no index, no early end.

Every rule is looked at with nothing but the patterns' own `matches`. Tests compare the answers of
the real evaluation with these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from deputize.core.matching import ANY, host_matches
from deputize.core.model import Action, Delegation, RuleRef, Scope
from deputize.core.rules import Rule, RuleEffect
from deputize.core.reasons import Reason
from deputize.core.verdict import Effect


class Answer(NamedTuple):
    """What an evaluation says; `scopes` are those granted."""

    effect: Effect
    reason: Reason
    rule: RuleRef | None
    scopes: frozenset[Scope] = frozenset()


def evaluate(delegation: Delegation, action: Action, rules: Iterable[Rule]) -> Answer:
    """The answer by scanning all rules, first by name where several could give it."""
    covering = sorted(
        (rule for rule in rules if covers(rule, delegation, action)), key=lambda rule: rule.ref
    )
    forbids = [rule for rule in covering if rule.effect is RuleEffect.FORBID]
    allows = [rule for rule in covering if rule.effect is RuleEffect.ALLOW]
    shallow = [rule for rule in allows if is_within_depth(rule, delegation)]
    grants = [rule for rule in shallow if rule.scopes <= delegation.scopes]
    if forbids:
        return Answer(Effect.DENY, Reason.POLICY_FORBIDDEN, forbids[0].ref)
    if grants:
        return Answer(Effect.ALLOW, Reason.POLICY_ALLOWED, grants[0].ref, grants[0].scopes)
    if shallow:
        return Answer(Effect.DENY, Reason.POLICY_INSUFFICIENT_SCOPE, shallow[0].ref)
    if allows:
        return Answer(Effect.DENY, Reason.POLICY_CONDITION_FAILED, allows[0].ref)
    return Answer(Effect.DENY, Reason.POLICY_NO_MATCH, None)


def covers(rule: Rule, delegation: Delegation, action: Action) -> bool:
    """True when each of the five dimensions has a matching pattern."""
    return (
        any(pattern.matches(delegation.agent) for pattern in rule.agents)
        and any(pattern.matches(delegation.principal) for pattern in rule.principals)
        and any(host_matches(pattern, action.host) for pattern in rule.hosts)
        and any(pattern in {ANY, action.method} for pattern in rule.methods)
        and any(pattern.matches(action.segments) for pattern in rule.paths)
    )


def is_within_depth(rule: Rule, delegation: Delegation) -> bool:
    """True when the chain is not longer than the rule allows."""
    return rule.max_depth is None or len(delegation.chain) <= rule.max_depth

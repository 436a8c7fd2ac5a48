"""Law: where one rule is said to cover another, it covers all that the other covers."""

from __future__ import annotations

from hypothesis import given

from deputize.config.containment import rule_covers, rules_overlap
from deputize.core.case import Case
from deputize.core.matching import ANY, host_matches
from deputize.core.model import Action, Delegation
from deputize.core.rules import Rule
from tests.harness.policy_strategies import allow_rules, forbid_rules, single_cases
from tests.harness.strategies import CHEAP_LAW


def covers(rule: Rule, delegation: Delegation, action: Action) -> bool:
    return (
        any(pattern.matches(delegation.agent) for pattern in rule.agents)
        and any(pattern.matches(delegation.principal) for pattern in rule.principals)
        and any(host_matches(pattern, action.host) for pattern in rule.hosts)
        and any(pattern in {ANY, action.method} for pattern in rule.methods)
        and any(pattern.matches(action.segments) for pattern in rule.paths)
        and (rule.call is None or any(rule.call.matches(call) for call in action.calls))
    )


@CHEAP_LAW
@given(allow_rules, allow_rules | forbid_rules, single_cases)
def test_covering_is_kept(first: Rule, second: Rule, case: Case) -> None:
    assert rule_covers(first, first)
    is_first, is_second = (covers(rule, case.delegation, case.action) for rule in (first, second))
    if rule_covers(first, second) and is_second:
        assert is_first
    if is_first and is_second:
        assert rules_overlap(first, second)
        assert rules_overlap(second, first)

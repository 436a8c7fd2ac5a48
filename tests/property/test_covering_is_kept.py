"""Law: where one rule is said to cover another, it covers all that the other covers."""

from __future__ import annotations

from hypothesis import given

from deputize.config.containment import rule_covers, rules_overlap
from deputize.core.case import Case
from deputize.core.rules import Rule
from tests.harness.policy_strategies import allow_rules, forbid_rules, single_cases
from tests.harness.strategies import CHEAP_LAW
from tests.model.reference_pdp import covers


@CHEAP_LAW
@given(allow_rules | forbid_rules, allow_rules | forbid_rules, single_cases)
def test_covering_is_kept(first: Rule, second: Rule, case: Case) -> None:
    plain = case.action._replace(upgrade="")
    asked = case._replace(action=plain, call=next(iter(plain.calls), None))
    is_first, is_second = covers(first, asked), covers(second, asked)
    assert rule_covers(first, first)
    if rule_covers(first, second) and is_second:
        assert is_first
    if is_first and is_second:
        assert rules_overlap(first, second)
        assert rules_overlap(second, first)

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.case import Case
from deputize.core.conditions import Condition
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.policy_strategies import (
    allow_rules,
    cases,
    conditions,
    forbid_rules,
    mixed_policies,
    single_cases,
)
from tests.harness.rulings import answer
from tests.harness.strategies import LAW
from tests.harness.world import make_policies
from tests.model import reference_pdp


@LAW
@given(single_cases, mixed_policies, forbid_rules)
def test_a_forbid_refuses_whatever_else_is_there(
    case: Case, policy: list[Rule], forbid: Rule
) -> None:
    if reference_pdp.covers(forbid, case):
        alone = reference_pdp.judge(forbid, case, make_policies([]))
        if alone is not None:
            assert answer(case, [*policy, forbid]).effect is Effect.DENY
            assert answer(case, [forbid]).reason is alone


@LAW
@given(cases, mixed_policies, forbid_rules)
def test_adding_a_forbid_never_allows_more(case: Case, policy: list[Rule], forbid: Rule) -> None:
    if answer(case, policy).effect is Effect.DENY:
        assert answer(case, [*policy, forbid]).effect is Effect.DENY


@LAW
@given(cases, mixed_policies, allow_rules)
def test_adding_an_allow_never_refuses_more(case: Case, policy: list[Rule], allow: Rule) -> None:
    if answer(case, policy).effect is Effect.ALLOW:
        assert answer(case, [*policy, allow]).effect is Effect.ALLOW


@LAW
@given(
    case=cases,
    policy=mixed_policies,
    allow=allow_rules,
    condition=conditions,
    first=st.booleans(),
)
def test_adding_a_condition_to_an_allow_never_allows_more(
    case: Case, policy: list[Rule], allow: Rule, condition: Condition, *, first: bool
) -> None:
    asked = (condition, *allow.conditions) if first else (*allow.conditions, condition)
    if answer(case, [*policy, allow]).effect is Effect.DENY:
        narrowed = replace(allow, conditions=asked)
        assert answer(case, [*policy, narrowed]).effect is Effect.DENY


@LAW
@given(cases, mixed_policies, forbid_rules, conditions)
def test_a_forbid_refuses_most_without_conditions(
    case: Case, policy: list[Rule], forbid: Rule, condition: Condition
) -> None:
    bare, asking = replace(forbid, conditions=()), replace(forbid, conditions=(condition,))
    if answer(case, [*policy, bare]).effect is Effect.ALLOW:
        assert answer(case, [*policy, asking]).effect is Effect.ALLOW


@LAW
@given(cases, mixed_policies, conditions)
def test_adding_a_condition_to_every_allow_never_allows_more(
    case: Case, policy: list[Rule], condition: Condition
) -> None:
    def narrow(rule: Rule) -> Rule:
        is_allow = rule.effect.value == "allow"
        return replace(rule, conditions=(*rule.conditions, condition)) if is_allow else rule

    enforced = [replace(rule, is_observed=False) for rule in policy]
    if answer(case, enforced).effect is Effect.DENY:
        assert answer(case, [narrow(rule) for rule in enforced]).effect is Effect.DENY

from __future__ import annotations

from hypothesis import given

from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.reasons import Reason
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.policy_strategies import cases, limits, mixed_policies, policies, single_cases
from tests.harness.rulings import answer
from tests.harness.strategies import LAW
from tests.harness.world import make_policies
from tests.model import reference_pdp


@LAW
@given(cases, limits)
def test_without_rules_every_call_is_refused(case: Case, limited: Limits) -> None:
    assert answer(case, make_policies([], limits=limited)).reason is Reason.POLICY_NO_MATCH


@LAW
@given(single_cases, mixed_policies)
def test_rules_that_do_not_cover_a_call_do_not_allow_it(case: Case, policy: list[Rule]) -> None:
    others = [rule for rule in policy if not reference_pdp.covers(rule, case)]
    assert answer(case, others).reason is Reason.POLICY_NO_MATCH


@LAW
@given(single_cases, policies)
def test_the_rule_that_is_named_explains_the_answer(case: Case, policy: list[Rule]) -> None:
    whole = answer(case, policy)
    named = [rule for rule in policy if rule.ref == whole.rule]
    assert answer(case, named) == whole
    assert bool(named) or whole.effect is Effect.DENY

from __future__ import annotations

from hypothesis import given

from deputize.core.model import Action, Delegation
from deputize.core.rules import Rule
from deputize.core.reasons import Reason
from deputize.core.verdict import Effect
from tests.harness.strategies import LAW, actions, answer, delegations, policies
from tests.model import reference_pdp


@LAW
@given(delegations, actions)
def test_without_rules_every_call_is_refused(delegation: Delegation, action: Action) -> None:
    assert answer(delegation, action, []).reason is Reason.POLICY_NO_MATCH


@LAW
@given(delegations, actions, policies)
def test_rules_that_do_not_cover_a_call_do_not_allow_it(
    delegation: Delegation, action: Action, policy: list[Rule]
) -> None:
    others = [rule for rule in policy if not reference_pdp.covers(rule, delegation, action)]
    assert answer(delegation, action, others).reason is Reason.POLICY_NO_MATCH


@LAW
@given(delegations, actions, policies)
def test_the_rule_that_is_named_explains_the_answer(
    delegation: Delegation, action: Action, policy: list[Rule]
) -> None:
    whole = answer(delegation, action, policy)
    named = [rule for rule in policy if rule.ref == whole.rule]
    assert answer(delegation, action, named) == whole
    assert bool(named) or whole.effect is Effect.DENY

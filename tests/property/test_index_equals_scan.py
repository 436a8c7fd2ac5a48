from __future__ import annotations

from hypothesis import given, settings

from deputize.core.model import Action, Delegation
from deputize.core.rules import Rule
from deputize.core.policy_index import PolicyIndex
from tests.harness.strategies import actions, answer, delegations, policies
from tests.model import reference_pdp

THOROUGH = settings(max_examples=400, deadline=None)


@THOROUGH
@given(delegations, actions, policies)
def test_the_index_finds_what_a_scan_finds(
    delegation: Delegation, action: Action, policy: list[Rule]
) -> None:
    found = PolicyIndex(policy).covering(delegation.agent, delegation.principal, action)
    scanned = [rule for rule in policy if reference_pdp.covers(rule, delegation, action)]
    assert sorted(rule.ref for rule in found) == sorted(rule.ref for rule in scanned)


@THOROUGH
@given(delegations, actions, policies)
def test_the_evaluation_says_what_the_reference_says(
    delegation: Delegation, action: Action, policy: list[Rule]
) -> None:
    expected = reference_pdp.evaluate(delegation, action, policy)
    assert answer(delegation, action, policy) == expected

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.model import Action, Delegation
from deputize.core.rules import Rule
from tests.harness.strategies import LAW, actions, answer, delegations, policies


@LAW
@given(delegations, actions, policies, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(
    delegation: Delegation, action: Action, policy: list[Rule], random: Random
) -> None:
    shuffled = random.sample(policy, len(policy))
    assert answer(delegation, action, shuffled) == answer(delegation, action, policy)


@LAW
@given(delegations, actions, policies, st.data())
def test_duplicates_of_rules_do_not_matter(
    delegation: Delegation, action: Action, policy: list[Rule], data: st.DataObject
) -> None:
    again = [rule for rule in policy if data.draw(st.booleans())]
    assert answer(delegation, action, policy + again) == answer(delegation, action, policy)

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.rules import Rule
from tests.harness.policy_strategies import cases, limits, mixed_policies
from tests.harness.rulings import answer
from tests.harness.strategies import LAW
from tests.harness.world import make_policies


@LAW
@given(cases, mixed_policies, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(case: Case, policy: list[Rule], random: Random) -> None:
    shuffled = random.sample(policy, len(policy))
    assert answer(case, shuffled) == answer(case, policy)


@LAW
@given(cases, mixed_policies, st.data())
def test_duplicates_of_rules_do_not_matter(
    case: Case, policy: list[Rule], data: st.DataObject
) -> None:
    again = [rule for rule in policy if data.draw(st.booleans())]
    assert answer(case, policy + again) == answer(case, policy)


@LAW
@given(case=cases, policy=mixed_policies, limited=limits, twice=st.booleans())
def test_order_and_duplicates_of_limits_do_not_matter(
    case: Case, policy: list[Rule], limited: Limits, *, twice: bool
) -> None:
    count = 2 if twice else 1
    turned = Limits(limited.agent_ceilings[::-1] * count, limited.principal_scopes[::-1] * count)
    expected = answer(case, make_policies(policy, limits=limited))
    assert answer(case, make_policies(policy, limits=turned)) == expected

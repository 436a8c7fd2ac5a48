from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.policy_index import PolicyIndex
from deputize.core.rules import Rule
from tests.harness.policy_strategies import cases, limits, mixed_policies, policies
from tests.harness.rulings import answer
from tests.harness.world import make_policies
from tests.model import reference_pdp

THOROUGH = settings(max_examples=400, deadline=None)


@THOROUGH
@given(cases, policies)
def test_the_index_finds_what_a_scan_finds(case: Case, policy: list[Rule]) -> None:
    delegation, action = case.delegation, case.action._replace(upgrade="")
    index = PolicyIndex(policy)
    for call in action.calls or (None,):
        found = index.covering(delegation.agent, delegation.principal, action, call)
        asked = case._replace(action=action, call=call)
        scanned = [rule for rule in policy if reference_pdp.covers(rule, asked)]
        assert sorted(rule.ref for rule in found) == sorted(rule.ref for rule in scanned)


@THOROUGH
@given(cases, limits)
def test_the_limits_found_are_those_of_a_scan(case: Case, limited: Limits) -> None:
    expected = reference_pdp.delegable(case, make_policies([], limits=limited))
    assert limited.apply(case.delegation) == expected


@THOROUGH
@given(case=cases, policy=mixed_policies, limited=limits, is_observed=st.booleans())
def test_the_evaluation_says_what_the_reference_says(
    case: Case, policy: list[Rule], limited: Limits, *, is_observed: bool
) -> None:
    used = make_policies(policy, limits=limited, is_observed=is_observed)
    assert answer(case, used) == reference_pdp.evaluate(case, used)

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.reasons import Reason
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.policy_strategies import cases, limits, mixed_policies
from tests.harness.rulings import answer
from tests.harness.strategies import LAW
from tests.harness.world import make_policies


def enforced(policy: list[Rule]) -> list[Rule]:
    return [replace(rule, is_observed=False) for rule in policy]


@LAW
@given(cases, mixed_policies, limits)
def test_where_all_is_observed_nothing_is_refused_and_every_refusal_recorded(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    strict = answer(case, make_policies(enforced(policy), limits=limited))
    watched = answer(case, make_policies(policy, limits=limited, is_observed=True))
    assert watched.effect is Effect.ALLOW
    assert watched.observed == (None if strict.effect is Effect.ALLOW else strict.reason)
    if strict.effect is Effect.ALLOW:
        assert watched == strict


@LAW
@given(cases, mixed_policies, limits)
def test_a_policy_that_is_observed_refuses_nothing_more_and_tells_what_it_would(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    strict = answer(case, make_policies(enforced(policy), limits=limited))
    watched = answer(case, make_policies(policy, limits=limited))
    if strict.effect is Effect.ALLOW:
        assert watched == strict
    elif watched.effect is Effect.ALLOW:
        assert watched.observed is strict.reason


@LAW
@given(cases, mixed_policies)
def test_what_is_observed_never_refuses(case: Case, policy: list[Rule]) -> None:
    watched = [replace(rule, is_observed=True) for rule in policy]
    said = answer(case, watched)
    assert said.effect is Effect.ALLOW or said.reason is Reason.POLICY_NO_MATCH


@LAW
@given(cases, mixed_policies)
def test_taking_observed_policies_away_never_refuses_less(case: Case, policy: list[Rule]) -> None:
    rest = [rule for rule in policy if not rule.is_observed]
    if answer(case, rest).effect is Effect.ALLOW:
        assert answer(case, policy).effect is Effect.ALLOW

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.model import Scope
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.policy_strategies import batches, limits, mixed_policies
from tests.harness.rulings import Answer, answer
from tests.harness.strategies import LAW
from tests.harness.world import make_policies


def each_alone(case: Case, policy: list[Rule], limited: Limits) -> list[Answer]:
    used = make_policies(policy, limits=limited)
    return [
        answer(case._replace(action=case.action._replace(calls=(call,))), used)
        for call in case.action.calls
    ]


@LAW
@given(batches, mixed_policies, limits)
def test_several_calls_are_allowed_exactly_if_each_alone_is(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    together = answer(case, make_policies(policy, limits=limited))
    alone = each_alone(case, policy, limited)
    refused = [said for said in alone if said.effect is Effect.DENY]
    if refused:
        assert together == refused[0]
    else:
        assert together.effect is Effect.ALLOW
        assert together.scopes == frozenset[Scope]().union(*(said.scopes for said in alone))
        observed = [said.observed for said in alone if said.observed is not None]
        assert together.observed == (observed[0] if observed else None)


@LAW
@given(batches, mixed_policies, st.randoms(use_true_random=False))
def test_the_order_of_calls_changes_no_effect(
    case: Case, policy: list[Rule], random: Random
) -> None:
    calls = tuple(random.sample(case.action.calls, len(case.action.calls)))
    turned = case._replace(action=case.action._replace(calls=calls))
    assert answer(turned, policy).effect is answer(case, policy).effect

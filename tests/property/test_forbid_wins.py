from __future__ import annotations

from hypothesis import given

from deputize.core.model import Action, Delegation
from deputize.core.rules import Rule
from deputize.core.reasons import Reason
from deputize.core.verdict import Effect
from tests.harness.strategies import (
    LAW,
    actions,
    allow_rules,
    answer,
    delegations,
    forbid_rules,
    policies,
)
from tests.model import reference_pdp


@LAW
@given(delegations, actions, policies, forbid_rules)
def test_a_covering_forbid_refuses_whatever_else_is_there(
    delegation: Delegation, action: Action, policy: list[Rule], forbid: Rule
) -> None:
    expected = reference_pdp.covers(forbid, delegation, action)
    if expected:
        assert answer(delegation, action, [*policy, forbid]).reason is Reason.POLICY_FORBIDDEN


@LAW
@given(delegations, actions, policies, forbid_rules)
def test_adding_a_forbid_never_allows_more(
    delegation: Delegation, action: Action, policy: list[Rule], forbid: Rule
) -> None:
    if answer(delegation, action, policy).effect is Effect.DENY:
        assert answer(delegation, action, [*policy, forbid]).effect is Effect.DENY


@LAW
@given(delegations, actions, policies, allow_rules)
def test_adding_an_allow_never_refuses_more(
    delegation: Delegation, action: Action, policy: list[Rule], allow: Rule
) -> None:
    if answer(delegation, action, policy).effect is Effect.ALLOW:
        assert answer(delegation, action, [*policy, allow]).effect is Effect.ALLOW

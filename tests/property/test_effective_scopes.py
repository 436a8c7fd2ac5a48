from __future__ import annotations

from hypothesis import given

from deputize.core.model import Action, Delegation
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.strategies import LAW, actions, answer, delegations, policies


@LAW
@given(delegations, actions, policies)
def test_granted_scopes_are_those_of_token_and_rule(
    delegation: Delegation, action: Action, policy: list[Rule]
) -> None:
    granted = answer(delegation, action, policy)
    assert granted.scopes <= delegation.scopes
    for rule in policy:
        if rule.ref == granted.rule:
            assert granted.scopes <= rule.scopes


@LAW
@given(delegations, actions, policies)
def test_a_token_with_fewer_scopes_is_never_allowed_more(
    delegation: Delegation, action: Action, policy: list[Rule]
) -> None:
    if answer(delegation, action, policy).effect is Effect.DENY:
        for scope in delegation.scopes:
            fewer = delegation._replace(scopes=delegation.scopes - {scope})
            assert answer(fewer, action, policy).effect is Effect.DENY

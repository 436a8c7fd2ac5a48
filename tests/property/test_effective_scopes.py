from __future__ import annotations

from hypothesis import given

from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.model import Scope
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.policy_strategies import cases, limits, mixed_policies, policies, single_cases
from tests.harness.rulings import answer
from tests.harness.strategies import LAW
from tests.harness.world import make_policies


@LAW
@given(cases, mixed_policies, limits)
def test_granted_scopes_are_a_part_of_each_that_has_a_say(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    granted = answer(case, make_policies(policy, limits=limited)).scopes
    delegation = case.delegation
    assert granted <= delegation.scopes
    for ceiling in limited.agent_ceilings:
        if any(pattern.matches(delegation.agent) for pattern in ceiling.agents):
            assert granted <= ceiling.scopes
    entries = [
        (pattern, entry.scopes)
        for entry in limited.principal_scopes
        for pattern in entry.principals
        if pattern.issuer == delegation.principal.issuer
    ]
    if entries:
        handed_on = [has for pattern, has in entries if pattern.matches(delegation.principal)]
        assert granted <= frozenset[Scope]().union(*handed_on)


@LAW
@given(single_cases, policies, limits)
def test_granted_scopes_are_those_of_the_rule(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    granted = answer(case, make_policies(policy, limits=limited))
    if granted.effect is Effect.ALLOW:
        (rule,) = (rule for rule in policy if rule.ref == granted.rule)
        assert granted.scopes == rule.scopes


@LAW
@given(cases, mixed_policies, limits)
def test_a_token_with_fewer_scopes_is_never_allowed_more(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    used = make_policies(policy, limits=limited)
    if answer(case, used).effect is Effect.DENY:
        for scope in case.delegation.scopes:
            scopes = case.delegation.scopes - {scope}
            fewer = case._replace(delegation=case.delegation._replace(scopes=scopes))
            assert answer(fewer, used).effect is Effect.DENY


@LAW
@given(cases, policies, limits)
def test_without_a_limit_never_less_is_allowed(
    case: Case, policy: list[Rule], limited: Limits
) -> None:
    before = answer(case, make_policies(policy, limits=limited))
    ceilings, delegable = limited.agent_ceilings, limited.principal_scopes
    fewer = [
        Limits((*ceilings[:position], *ceilings[position + 1 :]), delegable)
        for position in range(len(ceilings))
    ]
    for wider in (*fewer, Limits((), delegable), Limits(ceilings, ()), Limits((), ())):
        assert limited.apply(case.delegation) <= wider.apply(case.delegation)
        if before.effect is Effect.ALLOW:
            after = answer(case, make_policies(policy, limits=wider))
            assert after.effect is Effect.ALLOW


@LAW
@given(cases, limits)
def test_what_principals_may_delegate_adds_up(case: Case, limited: Limits) -> None:
    delegable = limited.principal_scopes
    if case.delegation.principal.issuer in limited.limited_issuers:
        for count in range(1, len(delegable)):
            part = Limits((), delegable[:count])
            if case.delegation.principal.issuer in part.limited_issuers:
                whole = Limits((), delegable)
                assert part.apply(case.delegation) <= whole.apply(case.delegation)

from __future__ import annotations

from collections.abc import Iterable

import pytest

from deputize.core.limits import NO_LIMITS, AgentCeiling, Limits, PrincipalScopes
from deputize.core.matching import PrincipalPattern, parse_agent_pattern
from deputize.core.model import Scope
from tests.harness.rulings import make_case
from tests.harness.world import AGENT, OTHER_AGENT, anyone, make_principal

EVERY_AGENT = "spiffe://prod.example.org/**"
SALES = make_principal(claims={"groups": ["sales"]})


def ceiling(*agents: str, scopes: str) -> AgentCeiling:
    return AgentCeiling(
        tuple(map(parse_agent_pattern, agents)), frozenset(map(Scope, scopes.split()))
    )


def may_delegate(*principals: PrincipalPattern, scopes: str) -> PrincipalScopes:
    return PrincipalScopes(principals, frozenset(map(Scope, scopes.split())))


def left(
    *ceilings: AgentCeiling,
    delegable: Iterable[PrincipalScopes] = (),
    groups: Iterable[str] = (),
    issuer: str = "https://issuer.example",
) -> set[str]:
    case = make_case(scopes=["a", "b", "c"], claims={"groups": list(groups)}, issuer=issuer)
    return set(Limits(ceilings, delegable).apply(case.delegation))


def test_without_limits_all_scopes_are_left() -> None:
    delegation = make_case(scopes=["a"]).delegation
    assert NO_LIMITS.apply(delegation) == {"a"}
    assert left() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("ceilings", "expected"),
    [
        ([ceiling(AGENT, scopes="a b x")], {"a", "b"}),
        ([ceiling(OTHER_AGENT, scopes="a")], {"a", "b", "c"}),
        ([ceiling(OTHER_AGENT, EVERY_AGENT, scopes="a")], {"a"}),
        ([ceiling(AGENT, scopes="a b"), ceiling(EVERY_AGENT, scopes="b c")], {"b"}),
        ([ceiling(AGENT, scopes="a b"), ceiling(AGENT, scopes="a")], {"a"}),
        ([ceiling(AGENT, AGENT, scopes="a")], {"a"}),
        ([ceiling(AGENT, scopes="")], set()),
    ],
)
def test_every_ceiling_of_an_agent_applies(
    ceilings: list[AgentCeiling], expected: set[str]
) -> None:
    assert left(*ceilings) == expected
    assert left(*reversed(ceilings)) == expected


def test_what_a_principal_may_delegate_adds_up() -> None:
    delegable = [may_delegate(anyone(), scopes="a"), may_delegate(SALES, scopes="b x")]
    assert left(delegable=delegable) == {"a"}
    assert left(delegable=delegable, groups=["sales"]) == {"a", "b"}


def test_whom_no_entry_names_may_delegate_nothing() -> None:
    delegable = [may_delegate(SALES, make_principal(subjects=["bob"]), scopes="a b")]
    assert left(delegable=delegable) == set()
    assert left(delegable=delegable, issuer="https://other.example") == {"a", "b", "c"}


def test_two_parts_of_a_pattern_must_both_hold() -> None:
    both = make_principal(subjects=["alice"], claims={"groups": ["sales"]})
    delegable = [may_delegate(both, scopes="a")]
    assert left(delegable=delegable) == set()
    assert left(delegable=delegable, groups=["sales"]) == {"a"}


def test_both_kinds_of_limits_apply() -> None:
    delegable = [may_delegate(anyone(), scopes="b c")]
    assert left(ceiling(AGENT, scopes="a b"), delegable=delegable) == {"b"}


def test_limits_can_be_listed() -> None:
    ceilings, delegable = [ceiling(AGENT, scopes="a")], [may_delegate(anyone(), scopes="b")]
    limits = Limits(ceilings, delegable)
    assert (limits.agent_ceilings, limits.principal_scopes) == (tuple(ceilings), tuple(delegable))
    assert limits.limited_issuers == {"https://issuer.example"}

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.case import Case
from deputize.core.model import Actor, Kind
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.issuer import nest_actors
from tests.harness.policy_strategies import cases, mixed_policies, policies
from tests.harness.rulings import answer
from tests.harness.strategies import LAW
from tests.harness.world import (
    AGENT,
    NOW,
    OTHER_AGENT,
    decide_now,
    make_request,
    make_rule,
    make_snapshot,
    shared_issuer,
)

hops = st.sampled_from([AGENT, OTHER_AGENT, "legacy-bot", "spiffe://partner.example/a", "alice"])
BOUNDED = [make_rule("a/deep", paths=["/**"], max_depth=3), make_rule("b/one", max_depth=1)]


def with_longer_chain(case: Case) -> Case:
    chain = (*case.delegation.chain, Actor("one more", "", Kind.UNKNOWN))
    return case._replace(delegation=case.delegation._replace(chain=chain))


@LAW
@given(cases, policies)
def test_a_rule_that_grants_to_a_longer_chain_grants_to_a_shorter(
    case: Case, policy: list[Rule]
) -> None:
    longer = with_longer_chain(case)
    for rule in policy:
        if answer(longer, [rule]).effect is Effect.ALLOW:
            assert answer(case, [rule]) == answer(longer, [rule])


@LAW
@given(cases, mixed_policies)
def test_a_call_allowed_to_a_longer_chain_is_allowed_to_a_shorter(
    case: Case, policy: list[Rule]
) -> None:
    if answer(with_longer_chain(case), policy).effect is Effect.ALLOW:
        assert answer(case, policy).effect is Effect.ALLOW


@LAW
@given(st.lists(hops, max_size=5), hops, st.sampled_from(["/v1/orders/7", "/v1/stock"]))
def test_a_hop_in_the_token_never_helps(chain: list[str], hop: str, path: str) -> None:
    snapshot = make_snapshot(shared_issuer(), rules=BOUNDED)

    def effect(*earlier: str) -> Effect:
        claims = {"act": nest_actors(AGENT, *earlier)}
        token = shared_issuer().issue(now=NOW, claims=claims)
        return decide_now(make_request(token, path=path), snapshot).effect

    if effect(*chain) is Effect.DENY:
        assert effect(*chain, hop) is Effect.DENY

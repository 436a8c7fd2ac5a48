from __future__ import annotations

from collections.abc import Iterable

import pytest

from deputize.core.model import Grant, UpstreamFact
from deputize.core.reasons import Reason
from deputize.core.rules import Budget, Rule
from tests.harness.expect import refused
from tests.harness.rulings import make_case, rule_on
from tests.harness.world import make_forbid, make_principal, make_rule


def evaluate_rules(*rules: Rule, scopes: Iterable[str] = ("orders:read",), depth: int = 1) -> Grant:
    chain = [f"actor-{number}" for number in range(depth)]
    ruling = rule_on(make_case(scopes=scopes, chain=chain), rules)
    assert ruling.observed is None
    return ruling.grant


def test_without_rules_nothing_is_allowed() -> None:
    with refused(Reason.POLICY_NO_MATCH) as denials:
        evaluate_rules()
    assert denials[0].rule is None


def test_a_covering_rule_allows() -> None:
    grant = evaluate_rules(make_rule("orders/read", upstream_facts=[UpstreamFact.CHAIN]))
    assert str(grant.rule) == "orders/read"
    assert grant.scopes == {"orders:read"}
    assert grant.upstream_facts == (UpstreamFact.CHAIN,)
    assert not grant.use_once


def test_the_grant_says_whether_the_token_is_good_once() -> None:
    assert evaluate_rules(make_rule(use_once=True)).use_once
    assert not evaluate_rules(make_rule()).use_once


def test_the_rule_that_uses_up_least_is_given() -> None:
    once, often = make_rule("a/once", use_once=True), make_rule("b/often")
    counted = make_rule("a/counted", budget=Budget(1, 60, frozenset()))
    for rules in ((once, often, counted), (counted, often, once)):
        assert str(evaluate_rules(*rules).rule) == "b/often"


@pytest.mark.parametrize(
    "rule",
    [
        make_rule(agents=["spiffe://prod.example.org/ns/agents/sa/planner"]),
        make_rule(principals=[make_principal("https://other.example")]),
        make_rule(principals=[make_principal(subjects=["bob"])]),
        make_rule(principals=[]),
        make_rule(hosts=["other.example"]),
        make_rule(methods=["POST"]),
        make_rule(methods=["HEAD"]),
        make_rule(paths=["/v1/orders"]),
        make_rule(paths=["/v1/orders/{id}/items"]),
    ],
)
def test_each_dimension_must_cover_the_call(rule: Rule) -> None:
    with refused(Reason.POLICY_NO_MATCH):
        evaluate_rules(rule)


def test_a_forbid_wins() -> None:
    rules = (make_rule("orders/read"), make_forbid("guard/all", "/**"))
    for ordered in (rules, rules[::-1]):
        with refused(Reason.POLICY_FORBIDDEN) as denials:
            evaluate_rules(*ordered)
        assert str(denials[0].rule) == "guard/all"


def test_a_forbid_alone_says_that_it_forbids() -> None:
    with refused(Reason.POLICY_FORBIDDEN):
        evaluate_rules(make_forbid("guard/all", "/**"))


def test_the_first_forbid_by_name_is_named() -> None:
    with refused(Reason.POLICY_FORBIDDEN) as denials:
        evaluate_rules(make_forbid("b/x", "/**"), make_forbid("a/z", "/**"))
    assert str(denials[0].rule) == "a/z"


def test_the_first_grant_by_name_is_given() -> None:
    rules = (make_rule("b/x"), make_rule("a/z", scopes=[]), make_rule("a/z2"))
    assert evaluate_rules(*rules) == evaluate_rules(*rules[::-1])
    assert str(evaluate_rules(*rules).rule) == "a/z"


@pytest.mark.parametrize(
    "scopes",
    [(), ("orders:readwrite",), ("orders",), ("orders:rea",), ("Orders:read",), ("*",),
     ("orders:*",)],
)  # fmt: skip
def test_a_scope_is_compared_exactly(scopes: tuple[str, ...]) -> None:
    with refused(Reason.POLICY_INSUFFICIENT_SCOPE) as denials:
        evaluate_rules(make_rule(), scopes=scopes)
    assert denials[0].needed_scopes == {"orders:read"}


def test_every_scope_of_a_rule_is_needed() -> None:
    rule = make_rule(scopes=["orders:read", "orders:list"])
    with refused(Reason.POLICY_INSUFFICIENT_SCOPE) as denials:
        evaluate_rules(rule)
    assert denials[0].needed_scopes == {"orders:read", "orders:list"}


def test_only_the_scopes_of_the_rule_are_granted() -> None:
    assert evaluate_rules(make_rule(scopes=[]), scopes=["admin"]).scopes == frozenset()
    grant = evaluate_rules(make_rule(), scopes=["admin", "orders:read"])
    assert grant.scopes == {"orders:read"}


def test_a_rule_may_bound_the_chain() -> None:
    rule = make_rule(max_depth=2)
    evaluate_rules(rule, depth=2)
    with refused(Reason.POLICY_CONDITION_FAILED) as denials:
        evaluate_rules(rule, depth=3)
    assert str(denials[0].rule) == "orders/read"


def test_another_rule_may_still_grant() -> None:
    bounded, wide = make_rule("a/bounded", max_depth=1), make_rule("b/wide")
    assert str(evaluate_rules(bounded, wide, depth=2).rule) == "b/wide"


def test_a_missing_scope_is_nearer_than_a_condition() -> None:
    bounded, scoped = make_rule("a/bounded", max_depth=1), make_rule("b/scoped", scopes=["x"])
    with refused(Reason.POLICY_INSUFFICIENT_SCOPE) as denials:
        evaluate_rules(bounded, scoped, depth=2)
    assert str(denials[0].rule) == "b/scoped"


def test_the_nearest_rule_is_the_first_by_name() -> None:
    rules = (make_rule("b/x", scopes=["x"]), make_rule("a/y", scopes=["y"]))
    with refused(Reason.POLICY_INSUFFICIENT_SCOPE) as denials:
        evaluate_rules(*rules)
    assert denials[0].needed_scopes == {"y"}

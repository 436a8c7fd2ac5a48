from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from deputize.core.call_patterns import CallPattern
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, Exists, Operator
from deputize.core.conditions import Condition
from deputize.core.model import Grant, Protocol, Spend, UpstreamFact
from deputize.core.policy import DEFAULT_FACTS
from deputize.core.reasons import Reason
from deputize.core.rules import Budget, BudgetPart, Rule
from deputize.core.verdict import Denied
from tests.harness.expect import refused
from tests.harness.rulings import make_case, mcp_call, rule_on
from tests.harness.world import make_forbid, make_policies, make_principal, make_rule


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


# Upgrades


def test_a_connection_is_upgraded_only_where_the_rule_says_so() -> None:
    plain, socket = make_rule("a/plain"), make_rule("b/socket", upgrades=["websocket"])
    case = make_case(upgrade="websocket")
    with refused(Reason.POLICY_NO_MATCH):
        rule_on(case, [plain])
    assert str(rule_on(case, [plain, socket]).grant.rule) == "b/socket"
    for other in ("h2c", "websocket, h2c", "Websocket"):
        with refused(Reason.POLICY_NO_MATCH):
            rule_on(make_case(upgrade=other), [plain, socket])


def test_a_rule_for_an_upgrade_covers_calls_without_one() -> None:
    assert rule_on(make_case(), [make_rule(upgrades=["websocket"])]).observed is None


def test_a_forbid_covers_every_upgrade() -> None:
    rules = [make_rule(upgrades=["websocket"]), make_forbid("guard/all", "/**")]
    with refused(Reason.POLICY_FORBIDDEN):
        rule_on(make_case(upgrade="websocket"), rules)


# Conditions

HEADER = Fact(Source.HEADER, ("x-zone",))
IN_ZONE = Compares(HEADER, Operator.EQUALS, ("a",))
IN = make_case(headers={"x-zone": "a"})
OUT = make_case(headers={"x-zone": "b"})
UNREADABLE = make_case(headers={"x-zone": "a,b"})


def test_a_forbid_refuses_where_its_conditions_hold_or_cannot_be_evaluated() -> None:
    forbid = make_rule("guard/zone", effect="forbid", conditions=[IN_ZONE])
    rules = [make_rule(), forbid]
    assert str(rule_on(OUT, rules).grant.rule) == "orders/read"
    for case, reason in (
        (IN, Reason.POLICY_FORBIDDEN),
        (UNREADABLE, Reason.POLICY_EVALUATION_ERROR),
    ):
        with refused(reason) as denials:
            rule_on(case, rules)
        assert str(denials[0].rule) == "guard/zone"


def test_all_conditions_of_a_forbid_must_hold() -> None:
    conditions: list[Condition] = [IN_ZONE, Exists(Fact(Source.CLAIM, ("x",)), is_there=True)]
    forbid = make_rule("guard/zone", effect="forbid", conditions=conditions)
    assert rule_on(IN, [make_rule(), forbid]).observed is None


def test_another_allow_may_grant_what_one_cannot_evaluate() -> None:
    asking = make_rule("a/asking", conditions=[IN_ZONE])
    assert str(rule_on(IN, [asking]).grant.rule) == "a/asking"
    with refused(Reason.POLICY_EVALUATION_ERROR):
        rule_on(UNREADABLE, [asking])
    assert str(rule_on(UNREADABLE, [asking, make_rule("b/plain")]).grant.rule) == "b/plain"


# Policies that are only observed

SCOPED = make_rule("a/scoped", scopes=["x"])
FORBID = make_forbid("guard/all", "/**")
BROKEN = make_rule("guard/zone", effect="forbid", conditions=[IN_ZONE])


def observed(rule: Rule) -> Rule:
    return replace(rule, is_observed=True)


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [SCOPED],
        [make_rule(), FORBID],
        [SCOPED, FORBID],
        [make_rule(), BROKEN],
        [observed(FORBID), SCOPED],
        [observed(FORBID), make_forbid("z/all", "/**")],
    ],
)
def test_where_all_is_observed_what_would_refuse_is_recorded(rules: list[Rule]) -> None:
    enforced = [replace(rule, is_observed=False) for rule in rules]
    with pytest.raises(Denied) as caught:
        rule_on(UNREADABLE, enforced)
    ruling = rule_on(UNREADABLE, make_policies(rules, is_observed=True))
    assert ruling.observed == caught.value.denial
    assert ruling.grant == Grant(
        ruling.observed.rule, frozenset(), DEFAULT_FACTS, use_once=False, owed=()
    )


def test_a_grant_is_the_same_where_all_is_observed() -> None:
    rules = [make_rule(use_once=True, budget=Budget(1, 60, frozenset()))]
    ruling = rule_on(make_case(), make_policies(rules, is_observed=True))
    assert ruling.observed is None
    assert ruling.grant.scopes == {"orders:read"}
    assert ruling.grant.use_once


def test_an_observed_forbid_lets_pass_what_another_policy_grants() -> None:
    ruling = rule_on(make_case(), [make_rule(), observed(FORBID)])
    assert str(ruling.grant.rule) == "orders/read"
    assert ruling.observed is not None
    assert ruling.observed.reason is Reason.POLICY_FORBIDDEN


def test_an_observed_forbid_lets_pass_nothing_that_is_not_granted() -> None:
    with refused(Reason.POLICY_NO_MATCH):
        rule_on(make_case(), [observed(FORBID)])
    with refused(Reason.POLICY_INSUFFICIENT_SCOPE):
        rule_on(make_case(), [observed(FORBID), SCOPED])


def test_an_observed_allow_asks_for_nothing_but_an_enforced_forbid_refuses() -> None:
    ruling = rule_on(make_case(), [observed(SCOPED)])
    assert ruling.observed is not None
    assert ruling.observed.reason is Reason.POLICY_INSUFFICIENT_SCOPE
    assert (ruling.grant.rule, ruling.grant.scopes) == (SCOPED.ref, frozenset())
    with refused(Reason.POLICY_FORBIDDEN) as denials:
        rule_on(make_case(), [observed(SCOPED), FORBID, observed(make_forbid("a/a", "/**"))])
    assert denials[0].rule == FORBID.ref


def test_of_two_observed_refusals_the_forbid_is_recorded() -> None:
    ruling = rule_on(make_case(), [observed(SCOPED), observed(FORBID)])
    assert ruling.observed is not None
    assert ruling.observed.reason is Reason.POLICY_FORBIDDEN


# Several calls in one request

READ, WRITE = mcp_call("read"), mcp_call("write")
BOTH = make_case(READ, WRITE, scopes=["r", "w"])


def tool(name: str, tool_name: str, scope: str, **more: bool) -> Rule:
    call = CallPattern(Protocol.MCP, ("tools/call",), (tool_name,))
    facts = [UpstreamFact.AGENT, UpstreamFact.RULE if more else UpstreamFact.CHAIN]
    budget = Budget(5, 60, frozenset({BudgetPart.TOOL}))
    rule = make_rule(name, call=call, scopes=[scope], upstream_facts=facts, budget=budget)
    return replace(rule, use_once=more.get("use_once", False))


def test_every_call_must_be_allowed() -> None:
    read, write = tool("a/read", "read", "r"), tool("a/write", "write", "w", use_once=True)
    for rules in ([read], [write], [read, write, make_forbid("guard/all", "/**")]):
        with pytest.raises(Denied):
            rule_on(BOTH, rules)
    grant = rule_on(BOTH, [read, write]).grant
    assert grant.rule == read.ref
    assert grant.scopes == {"r", "w"}
    assert grant.use_once
    assert grant.upstream_facts == (UpstreamFact.AGENT, UpstreamFact.CHAIN, UpstreamFact.RULE)
    assert [duty.rule for duty in grant.owed if isinstance(duty, Spend)] == [read.ref, write.ref]


def test_a_forbid_of_one_call_refuses_all() -> None:
    call = CallPattern(Protocol.MCP, ("*",), ("write",))
    forbid = make_rule("guard/write", effect="forbid", call=call)
    with refused(Reason.POLICY_FORBIDDEN):
        rule_on(BOTH, [make_rule(scopes=[]), forbid])


def test_the_first_refusal_of_several_calls_is_recorded() -> None:
    rules = [tool("a/read", "read", "r"), observed(tool("a/write", "write", "x"))]
    for calls in ((READ, WRITE), (WRITE, READ), (WRITE, WRITE)):
        ruling = rule_on(make_case(*calls, scopes=["r", "w"]), rules)
        assert ruling.observed is not None
        assert str(ruling.observed.rule) == "a/write"


def test_the_same_call_twice_is_counted_twice() -> None:
    owed = rule_on(make_case(READ, READ, scopes=["r"]), [tool("a/read", "read", "r")]).grant.owed
    assert len(owed) == 2
    assert owed[0] == owed[1]

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from deputize.core.approval import ApprovalNeed, ApprovalService
from deputize.core.approved_call import describe_call
from deputize.core.case import Case, Fact, Source
from deputize.core.comparisons import Compares, Operator
from deputize.core.keys import Algorithm, KeyRing
from deputize.core.limits import AgentCeiling, Limits, PrincipalScopes
from deputize.core.matching import parse_agent_pattern
from deputize.core.model import Call, Grant, Json, Protocol, Scope, Spend, StepUp, UseOnce
from deputize.core.policy_demands import distance
from deputize.core.reasons import Reason
from deputize.core.rules import Budget, BudgetPart, Policies, Rule
from deputize.core.verdict import KeyWanted
from tests.harness.approvals import APPROVALS_URL, APPROVER, ApprovalDesk
from tests.harness.expect import refused
from tests.harness.issuer import Issuer
from tests.harness.rulings import make_case, mcp_call, rule_on
from tests.harness.world import (
    AGENT,
    APPROVAL_HEADER,
    NOW,
    OTHER_AGENT,
    make_key_ring,
    make_policies,
    make_principal,
    make_rule,
)

# Scopes and what may be delegated

READ = frozenset({Scope("orders:read")})


def ceiling(*scopes: str) -> AgentCeiling:
    return AgentCeiling((parse_agent_pattern(AGENT),), frozenset(map(Scope, scopes)))


BEYOND = [
    Limits([ceiling("orders:list")], []),
    Limits([], [PrincipalScopes((make_principal(subjects=["bob"]),), READ)]),
]


@pytest.mark.parametrize("limits", BEYOND)
def test_a_scope_beyond_what_may_be_delegated_does_not_count(limits: Limits) -> None:
    with refused(Reason.POLICY_SCOPE_NOT_DELEGABLE) as denials:
        rule_on(make_case(), make_policies([make_rule()], limits=limits))
    assert denials[0].needed_scopes == frozenset()


@pytest.mark.parametrize("limits", BEYOND)
def test_a_rule_without_scopes_is_not_limited(limits: Limits) -> None:
    policies = make_policies([make_rule(scopes=[])], limits=limits)
    assert rule_on(make_case(), policies).grant.scopes == frozenset()


def test_a_scope_within_all_limits_is_granted() -> None:
    anyone = PrincipalScopes((make_principal(),), READ)
    policies = make_policies([make_rule()], limits=Limits([ceiling("orders:read")], [anyone]))
    assert rule_on(make_case(), policies).grant.scopes == READ


def test_a_scope_the_token_lacks_is_told_before_limits() -> None:
    policies = make_policies([make_rule()], limits=BEYOND[0])
    with refused(Reason.POLICY_INSUFFICIENT_SCOPE):
        rule_on(make_case(scopes=[]), policies)


# Logins


def login(need: StepUp, **claims: Json) -> None:
    rule_on(make_case(claims=claims), [make_rule(step_up=need)])


GOLD = StepUp(("gold", "silver"), None)
RECENT = StepUp((), 300)


def test_a_login_that_is_strong_and_recent_enough() -> None:
    login(GOLD, acr="silver")
    login(RECENT, auth_time=NOW - 300)
    login(RECENT, auth_time=NOW)
    login(RECENT, auth_time=NOW + 60)
    login(StepUp(("gold",), 300), acr="gold", auth_time=NOW - 1)


@pytest.mark.parametrize(
    ("need", "claims"),
    [
        (GOLD, {}),
        (GOLD, {"acr": "bronze"}),
        (GOLD, {"acr": ["gold"]}),
        (GOLD, {"acr": None}),
        (RECENT, {}),
        (RECENT, {"auth_time": NOW - 301}),
        (RECENT, {"auth_time": NOW + 61}),
        (RECENT, {"auth_time": NOW * 1000}),
        (RECENT, {"auth_time": None}),
        (RECENT, {"auth_time": str(NOW)}),
        (RECENT, {"auth_time": True}),
        (StepUp(("gold",), 300), {"acr": "gold"}),
        (StepUp(("gold",), 300), {"auth_time": NOW}),
    ],
)
def test_another_login_is_asked_for(need: StepUp, claims: dict[str, Json]) -> None:
    with refused(Reason.POLICY_STEP_UP_REQUIRED) as denials:
        login(need, **claims)
    assert denials[0].step_up == need


# Approvals

KEYS = Issuer(APPROVALS_URL)
DESK = ApprovalDesk(issuer=KEYS)
SERVICE = ApprovalService(APPROVALS_URL, (Algorithm("ES256"),), 300.0, 10.0)
RINGS: Mapping[str, KeyRing] = {APPROVALS_URL: make_key_ring(KEYS)}
APPROVED = make_rule(approval=ApprovalNeed(frozenset({APPROVALS_URL}), approver_not_principal=True))
POLICIES = make_policies([APPROVED], services=[SERVICE])
TRANSFER = mcp_call("transfer", {"amount": 5})


def approve(case: Case, approver: str = APPROVER) -> Case:
    subject = describe_call(case.request, case.delegation, case.action, case.call)
    compact = DESK.approve(subject.to_json(), now=NOW, approver=approver)
    return with_approval(case, compact)


def with_approval(case: Case, compact: str) -> Case:
    headers = {**case.request.headers, APPROVAL_HEADER: compact}
    return case._replace(request=case.request._replace(headers=headers))


@pytest.mark.parametrize("case", [make_case(), make_case(TRANSFER)])
def test_an_approval_lets_the_call_in_once(case: Case) -> None:
    grant = rule_on(approve(case), POLICIES, RINGS).grant
    (approved,) = grant.approvals
    assert (approved.service, approved.approver) == (APPROVALS_URL, APPROVER)
    assert grant.owed == (approved.use,)
    assert isinstance(approved.use, UseOnce)


@pytest.mark.parametrize("case", [make_case(), make_case(TRANSFER)])
def test_without_an_approval_what_must_be_approved_is_told(case: Case) -> None:
    for asked in (case, with_approval(case, "")):
        with refused(Reason.POLICY_APPROVAL_REQUIRED) as denials:
            rule_on(asked, POLICIES, RINGS)
        subject = describe_call(case.request, case.delegation, case.action, case.call)
        assert denials[0].approval == subject.to_json()
        assert denials[0].wanted is None


def test_an_approval_that_does_not_hold_is_told_apart() -> None:
    other = make_case(mcp_call("transfer", {"amount": 6}))
    borrowed = approve(make_case(TRANSFER)).request.headers[APPROVAL_HEADER]
    for case in (
        with_approval(other, borrowed),
        with_approval(other, "x"),
        with_approval(other, f"{borrowed},{borrowed}"),
        approve(other, approver="alice"),
        approve(other, approver=AGENT),
    ):
        with refused(Reason.POLICY_APPROVAL_INVALID) as denials:
            rule_on(case, POLICIES, RINGS)
        assert denials[0].approval is not None
        assert denials[0].wanted is None


def test_a_key_that_is_not_known_is_wanted() -> None:
    case = approve(make_case())
    wanted = KeyWanted(APPROVALS_URL, "k1")
    other = {APPROVALS_URL: make_key_ring(Issuer(APPROVALS_URL, key_id="k2"))}
    with refused(Reason.POLICY_APPROVAL_INVALID) as denials:
        rule_on(case, POLICIES, other)
    assert denials[0].wanted == wanted
    for rings in ({}, {APPROVALS_URL: make_key_ring(KEYS, NOW - 1)}):
        with refused(Reason.SYSTEM_KEYS_UNAVAILABLE) as denials:
            rule_on(case, POLICIES, rings)
        assert denials[0].wanted == wanted


@pytest.mark.parametrize(
    "case",
    [
        make_case(mcp_call(arguments=None)),
        make_case(method="POST"),
        make_case(upgrade="websocket"),
    ],
)
def test_what_is_not_known_in_full_cannot_be_approved(case: Case) -> None:
    rule = replace(APPROVED, methods=("*",), upgrades=frozenset({"websocket"}))
    policies = make_policies([rule], services=[SERVICE])
    with refused(Reason.POLICY_EVALUATION_ERROR) as denials:
        rule_on(with_approval(case, "x"), policies, RINGS)
    assert denials[0].approval is None


def test_an_approval_is_for_one_call_of_several() -> None:
    other = mcp_call("transfer", {"amount": 6})
    first = make_case(TRANSFER, other)
    with refused(Reason.POLICY_APPROVAL_INVALID):
        rule_on(approve(first), POLICIES, RINGS)
    twice = rule_on(approve(make_case(TRANSFER, TRANSFER)), POLICIES, RINGS).grant
    # The second use of one approval is refused by whoever keeps what was used.
    assert len(twice.owed) == 2
    assert len(set(twice.owed)) == 1


# Budgets


def spend(
    case: Case, per: Iterable[BudgetPart] = BudgetPart, *, name: str = "orders/read"
) -> Spend:
    rule = make_rule(name, budget=Budget(3, 60, frozenset(per)), scopes=[])
    (owed,) = rule_on(case, [rule]).grant.owed
    assert isinstance(owed, Spend)
    return owed


BASE = make_case(mcp_call("a"))


def test_a_budget_is_an_obligation() -> None:
    owed = spend(BASE)
    assert (owed.limit, owed.window, str(owed.rule)) == (3, 60, "orders/read")
    assert owed.is_enforced
    assert owed.key.isascii()
    assert owed.key.isprintable()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            mcp_call("file:///data/a", method="resources/read"),
            mcp_call("file:///data/a?again", method="resources/read"),
        ),
        (
            Call(Protocol.A2A, "GetTask", "t-1", {}, 1),
            Call(Protocol.A2A, "GetTask", "t-2", {}, 1),
        ),
    ],
)
def test_a_name_that_the_caller_may_choose_begins_no_new_budget(first: Call, second: Call) -> None:
    assert spend(make_case(first)).key == spend(make_case(second)).key


def test_budgets_of_tools_begin_alike() -> None:
    first, second = (spend(make_case(mcp_call(name))).key for name in ("a", "b"))
    assert first.partition(".")[0] == second.partition(".")[0] != ""
    assert "." not in spend(BASE, [BudgetPart.AGENT]).key


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (make_case(mcp_call("a"), subject="bob"), BudgetPart.PRINCIPAL),
        (make_case(mcp_call("a"), issuer="https://two.example"), BudgetPart.PRINCIPAL),
        (make_case(mcp_call("a"), agent=OTHER_AGENT), BudgetPart.AGENT),
        (make_case(mcp_call("b")), BudgetPart.TOOL),
        (make_case(mcp_call("a", method="prompts/get")), BudgetPart.TOOL),
        (make_case(mcp_call("a")._replace(protocol=Protocol.A2A)), BudgetPart.TOOL),
        (make_case(), BudgetPart.TOOL),
    ],
)
def test_a_budget_is_counted_apart_for_exactly_its_parts(changed: Case, part: BudgetPart) -> None:
    rule = make_rule(
        agents=[AGENT, OTHER_AGENT],
        principals=[make_principal(), make_principal("https://two.example")],
        scopes=[],
    )

    def key(case: Case, per: Iterable[BudgetPart]) -> str:
        counted = replace(rule, budget=Budget(3, 60, frozenset(per)))
        (owed,) = rule_on(case, [counted]).grant.owed
        assert isinstance(owed, Spend)
        return owed.key

    others = set(BudgetPart) - {part}
    assert key(changed, [part]) != key(BASE, [part])
    assert key(changed, BudgetPart) != key(BASE, BudgetPart)
    assert key(changed, others) == key(BASE, others)
    assert key(changed, []) == key(BASE, [])


def test_arguments_do_not_divide_a_budget() -> None:
    assert spend(make_case(mcp_call("a", {"x": 1}))) == spend(BASE)


def test_rules_and_windows_have_budgets_of_their_own() -> None:
    assert spend(BASE, name="orders/other").key != spend(BASE).key
    rule = make_rule(budget=Budget(3, 61, frozenset(BudgetPart)))
    (owed,) = rule_on(BASE, [rule]).grant.owed
    assert isinstance(owed, Spend)
    assert owed.key != spend(BASE).key


@pytest.mark.parametrize("rule_is_observed", [True, False])
@pytest.mark.parametrize("all_is_observed", [True, False])
def test_an_observed_budget_refuses_nothing(
    *, rule_is_observed: bool, all_is_observed: bool
) -> None:
    rule = make_rule(budget=Budget(1, 60, frozenset()), is_observed=rule_is_observed)
    policies = make_policies([rule], is_observed=all_is_observed)
    (owed,) = rule_on(BASE, policies).grant.owed
    assert isinstance(owed, Spend)
    assert owed.is_enforced is not (rule_is_observed or all_is_observed)


def test_an_approval_is_used_before_the_budget() -> None:
    rule = replace(APPROVED, budget=Budget(3, 60, frozenset()))
    policies = make_policies([rule], services=[SERVICE])
    kinds = [type(owed) for owed in rule_on(approve(BASE), policies, RINGS).grant.owed]
    assert kinds == [UseOnce, Spend]


# Which refusal is told

FAILS = Compares(Fact(Source.CLAIM, ("x",)), Operator.EQUALS, ("y",))
BY_DISTANCE: list[tuple[Rule, Reason]] = [
    (APPROVED, Reason.POLICY_APPROVAL_REQUIRED),
    (make_rule("m/login", step_up=GOLD), Reason.POLICY_STEP_UP_REQUIRED),
    (make_rule("l/scope", scopes=["x"]), Reason.POLICY_INSUFFICIENT_SCOPE),
    (make_rule("k/limit", scopes=["orders:list"]), Reason.POLICY_SCOPE_NOT_DELEGABLE),
    (make_rule("j/condition", conditions=[FAILS]), Reason.POLICY_CONDITION_FAILED),
    (
        make_rule("i/error", conditions=[replace(FAILS, fact=Fact(Source.CLAIM, ("level",)))]),
        Reason.POLICY_EVALUATION_ERROR,
    ),
]


@pytest.mark.parametrize("start", range(len(BY_DISTANCE)))
def test_the_nearest_refusal_is_told(start: int) -> None:
    rules = [rule for rule, _ in BY_DISTANCE[start:]]
    case = make_case(scopes=["orders:read", "orders:list"], claims={"level": 7})
    limits = Limits([ceiling("orders:read")], [])
    with refused(BY_DISTANCE[start][1]) as denials:
        rule_on(case, make_policies(rules, limits=limits, services=[SERVICE]))
    assert denials[0].rule == rules[0].ref
    distances = [distance(reason) for _, reason in BY_DISTANCE]
    assert distances == sorted(distances)


def grant_of(case: Case, policies: Policies) -> Grant:
    return rule_on(case, policies).grant


def test_conditions_of_an_allow_must_all_hold() -> None:
    also = replace(FAILS, values=("z", "y"))
    policies = make_policies([make_rule(conditions=[FAILS, also])])
    assert grant_of(make_case(claims={"x": "y"}), policies).rule is not None
    for value in ("z", "w"):
        with refused(Reason.POLICY_CONDITION_FAILED):
            rule_on(make_case(claims={"x": value}), policies)

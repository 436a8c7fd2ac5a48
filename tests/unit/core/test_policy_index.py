from __future__ import annotations

from time import process_time

import pytest

from deputize.core.call_patterns import CallPattern
from deputize.core.model import Action, Call, Json, Kind, Principal, Protocol
from deputize.core.policy_index import PolicyIndex
from deputize.core.rules import Rule
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.world import AGENT, HOST, ISSUER_URL, anyone, make_principal, make_rule

MAX_SECONDS = 1.0
OTHER_ISSUER = "https://other.example"


def found(
    *rules: Rule,
    agent: str = AGENT,
    issuer: str = ISSUER_URL,
    claims: dict[str, Json] | None = None,
    method: str = "GET",
    host: str = HOST,
    segments: tuple[str, ...] = ("v1", "orders", "7"),
    call: Call | None = None,
) -> set[str]:
    covering = PolicyIndex(rules).covering(
        parse_spiffe_id(agent),
        Principal(issuer, "alice", Kind.USER, claims or {}),
        Action(method, host, segments),
        call,
    )
    names = [str(rule.ref) for rule in covering]
    assert len(set(names)) == len(names)
    return set(names)


def test_an_empty_index_finds_nothing() -> None:
    assert found() == set()


def test_a_rule_found_in_many_ways_is_found_once() -> None:
    rule = make_rule(
        "a/r",
        agents=[AGENT, "spiffe://prod.example.org/**", "spiffe://prod.example.org/*/*/*/*"],
        principals=[anyone(), make_principal(subjects=["alice", "bob"]), anyone()],
        hosts=[HOST, "*.example", "*"],
        methods=["GET", "*"],
        paths=["/v1/orders/7", "/v1/orders/{id}", "/v1/**", "/**"],
    )
    assert found(rule) == {"a/r"}


@pytest.mark.parametrize("host", [HOST, "*.example", "*"])
@pytest.mark.parametrize("path", ["/v1/orders/7", "/v1/{a}/7", "/v1/orders/7/**", "/{a}/**", "/**"])
@pytest.mark.parametrize("method", ["GET", "*"])
def test_every_kind_of_host_path_and_method_is_found(host: str, path: str, method: str) -> None:
    assert found(make_rule("a/r", hosts=[host], paths=[path], methods=[method])) == {"a/r"}


@pytest.mark.parametrize(
    "agent",
    [AGENT, "spiffe://prod.example.org/**", "spiffe://prod.example.org/ns/*/sa/*",
     "spiffe://prod.example.org/ns/agents/sa/*", "spiffe://prod.example.org/*/agents/**"],
)  # fmt: skip
def test_every_kind_of_agent_is_found(agent: str) -> None:
    assert found(make_rule("a/r", agents=[agent])) == {"a/r"}


@pytest.mark.parametrize(
    "agent",
    ["spiffe://prod.example.org/ns/agents/sa/research/**", "spiffe://prod.example.org/*",
     "spiffe://other/**", "spiffe://prod.example.org/ns/*/sa/*/*"],
)  # fmt: skip
def test_another_agent_is_not_found(agent: str) -> None:
    assert found(make_rule("a/r", agents=[agent])) == set()


@pytest.mark.parametrize(
    ("segments", "names"),
    [
        (("v1", "orders"), {"a/tail", "a/exact"}),
        (("v1", "orders", ""), {"a/tail"}),
        (("v1", "orders", "7"), {"a/tail", "a/parameter"}),
        (("v1", "orders", "7", "x"), {"a/tail"}),
        (("v1",), set()),
        (("v2", "orders"), set()),
    ],
)
def test_literal_parameter_and_tail(segments: tuple[str, ...], names: set[str]) -> None:
    rules = (
        make_rule("a/exact", paths=["/v1/orders"]),
        make_rule("a/parameter", paths=["/v1/orders/{id}"]),
        make_rule("a/tail", paths=["/v1/orders/**"]),
    )
    assert found(*rules, segments=segments) == names


def test_a_star_in_a_request_is_no_wildcard() -> None:
    assert found(make_rule(paths=["/v1/orders/7"]), segments=("v1", "orders", "*")) == set()


def test_principals_by_claim() -> None:
    rules = (
        make_rule("a/group", principals=[make_principal(claims={"groups": ["sales", "staff"]})]),
        make_rule(
            "a/both", principals=[make_principal(claims={"groups": ["sales"], "mfa": ["true"]})]
        ),
    )
    assert found(*rules, claims={"groups": ["sales", "staff"]}) == {"a/group"}
    assert found(*rules, claims={"groups": "sales", "mfa": True}) == {"a/group", "a/both"}
    assert found(*rules, claims={"mfa": True}) == set()


def test_issuers_are_kept_apart() -> None:
    rules = (
        make_rule("a/one", principals=[make_principal(claims={"groups": ["x"]})]),
        make_rule("a/two", principals=[anyone(OTHER_ISSUER)]),
    )
    assert found(*rules, issuer=OTHER_ISSUER, claims={"groups": ["x"]}) == {"a/two"}


def test_values_that_run_together_are_kept_apart() -> None:
    rule = make_rule(principals=[make_principal(claims={"a": ["b\nc"]})])
    assert found(rule, claims={"a\nb": "c"}) == set()


def test_the_rules_can_be_listed() -> None:
    rules = (make_rule("a/one"), make_rule("a/two"))
    assert PolicyIndex(rules).rules == rules


READ_TOOL = Call(Protocol.MCP, "tools/call", "get_order", {}, 1)
TOOL = CallPattern(Protocol.MCP, ("tools/call",), ("get_order",))


@pytest.mark.parametrize("methods", [("tools/call",), ("tools/*",), ("*",), ("a", "tools/ca*")])
@pytest.mark.parametrize("names", [(), ("get_order",), ("get_*",), ("*",), ("a*", "get_order*")])
def test_every_kind_of_call_is_found(methods: tuple[str, ...], names: tuple[str, ...]) -> None:
    rule = make_rule("a/r", call=CallPattern(Protocol.MCP, methods, names))
    assert found(rule, call=READ_TOOL) == {"a/r"}


@pytest.mark.parametrize(
    "call",
    [
        None,
        READ_TOOL._replace(protocol=Protocol.A2A),
        READ_TOOL._replace(method="tools/list"),
        READ_TOOL._replace(name="get_orders"),
        READ_TOOL._replace(name=""),
    ],
)
def test_another_call_is_not_found(call: Call | None) -> None:
    assert found(make_rule("a/r", call=TOOL), call=call) == set()


def test_a_rule_without_calls_covers_them_all_and_none() -> None:
    rules = (make_rule("a/any"), make_rule("a/tool", call=TOOL))
    assert found(*rules, call=READ_TOOL) == {"a/any", "a/tool"}
    assert found(*rules) == {"a/any"}


def test_many_groups_of_a_principal_and_many_patterns_of_names_are_no_product() -> None:
    rules = [
        make_rule(
            f"a/r{length}",
            principals=[make_principal(claims={"groups": [f"wanted-{length}"]})],
            call=CallPattern(Protocol.MCP, ("tools/call", "tools/*", "*"), ("x" * length + "*",)),
        )
        for length in range(1, 50)
    ]
    index = PolicyIndex(rules)
    groups: list[Json] = [f"group-{number}" for number in range(500)]
    principal = Principal(ISSUER_URL, "alice", Kind.USER, {"groups": [*groups, "wanted-7"]})
    action = Action("GET", HOST, ("v1", "orders", "7"))
    call = Call(Protocol.MCP, "tools/call", "x" * 60, {}, 1)
    agent = parse_spiffe_id(AGENT)
    started = process_time()
    answers = [index.covering(agent, principal, action, call) for _ in range(100)]
    assert process_time() - started < MAX_SECONDS
    assert [[rule.ref.rule for rule in answer] for answer in answers] == [["r7"]] * 100


def test_a_claim_that_reads_like_a_call_is_none() -> None:
    rule = make_rule(principals=[make_principal(claims={"groups": ["a"]})], call=TOOL)
    claims: dict[str, Json] = {"groups": ["a", "a\nmcp\ntools/call\nget_order"]}
    assert found(rule, claims=claims) == set()
    assert found(rule, claims=claims, call=READ_TOOL) == {"orders/read"}

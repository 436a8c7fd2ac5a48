"""Lints about two rules: where they fire, and near to that where they are silent."""

from __future__ import annotations

from typing import Any

import pytest

from deputize.config.lints.run import lint
from deputize.config.lints.table import Lint
from tests.harness.linted import (
    ANYONE,
    BUDGET,
    FORBID,
    ISSUER,
    OTHER_ISSUER,
    RESOURCES,
    SALES,
    STAFF,
    codes,
    find,
    make_service,
    sources,
)
from tests.harness.world import NOW


@pytest.mark.parametrize(
    ("forbid", "fires"),
    [
        ({}, True),
        ({"hosts": ["orders.example", "x.example"]}, True),
        ({"methods": ["POST"]}, False),
        ({"agents": ["spiffe://prod.example.org/ns/*/sa/research"]}, True),
        ({"agents": ["spiffe://prod.example.org/ns/*"]}, False),
        ({"onBehalfOf": [{"issuer": ISSUER, "subjects": ["alice"]}]}, False),
        ({"onBehalfOf": [{"issuer": OTHER_ISSUER, "anyone": True}]}, False),
        ({"when": [{"claim": "risk", "atLeast": 1}]}, False),
        ({"paths": ["/v1/{any}"]}, True),
        ({"paths": ["/v1/orders/"]}, True),
        ({"paths": ["/v1/orders/{id}"]}, False),
    ],
)
def test_shadowed(forbid: dict[str, Any], *, fires: bool) -> None:
    assert find({}, FORBID | forbid) == (["spec.rules[0] shadowed"] if fires else [])


def test_an_observed_forbid_shadows_nothing() -> None:
    forbids = {"rules": [FORBID]}
    found = lint(sources({"rules": [{}]}, {**forbids, "mode": "observe"}), make_service(), NOW)
    assert found == []
    found = lint(sources({"rules": [{}]}, forbids), make_service(), NOW)
    assert [(problem.file, problem.line) for problem in found] == [("p0.yaml", 9)]
    assert "`p1/forbid`" in found[0].message


WIDE = {"name": "wide", "paths": ["/v1/**"]}


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({}, ["redundant"]),
        ({"scopes": ["orders:read", "more"]}, ["redundant"]),
        ({"when": [{"claim": "a", "equals": 1}]}, ["redundant"]),
        ({"chain": {"maxDepth": 1}}, ["redundant"]),
        ({"stepUp": {"acrValues": ["a"]}}, ["redundant"]),
        ({"obligations": {"useTokenOnce": True}}, ["redundant"]),
        ({"scopes": []}, []),
        ({"scopes": ["other"]}, ["overlap"]),
        ({"upgrades": ["websocket"]}, []),
        ({"onBehalfOf": [*ANYONE, {"issuer": OTHER_ISSUER, "anyone": True}]}, []),
        ({"obligations": {"upstreamHeaders": ["rule"]}}, ["overlap"]),
        ({"paths": ["/v2"], "scopes": ["other"]}, []),
        ({"paths": ["/v1/x", "/v2"], "scopes": ["other"]}, ["overlap"]),
        ({"hosts": ["*.example"], "scopes": ["other"]}, ["overlap"]),
        ({"methods": ["POST"], "scopes": ["other"]}, []),
        ({"hosts": ["*.orders.example"], "scopes": ["other"]}, []),
        ({"agents": ["spiffe://prod.example.org/ns/agents/sa/*"], "scopes": ["x"]}, ["overlap"]),
    ],
)
def test_two_allow_rules(rule: dict[str, Any], found: list[str]) -> None:
    assert [entry.rpartition(" ")[2] for entry in find(WIDE, rule)] == found


SMALL, LARGE = {"claim": "amount", "atMost": 100}, {"claim": "amount", "atLeast": 101}
APPROVED = {"approval": {"services": ["https://approvals.example"]}}


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        # Alternatives for people of different groups, or for different calls.
        ({"onBehalfOf": SALES}, {"onBehalfOf": STAFF, "scopes": ["x"]}, []),
        ({"onBehalfOf": SALES}, {"onBehalfOf": SALES, "scopes": ["x"]}, ["overlap"]),
        ({"when": [SMALL]}, {"when": [LARGE], "scopes": ["x"]}, []),
        ({"when": [SMALL]}, {"scopes": ["x"]}, ["overlap"]),
        # Small ones without an approval: an exception.
        ({"when": [SMALL]}, APPROVED, []),
        ({}, {"when": [SMALL], **APPROVED}, ["redundant"]),
        ({"when": [SMALL], **APPROVED}, {"stepUp": {"acrValues": ["a"]}}, ["overlap"]),
        ({**BUDGET, "name": "a"}, {**BUDGET, "name": "b"}, []),
        ({**BUDGET, "paths": ["/v1/**"]},
         {"budget": {"limit": 2, "windowSeconds": 60}}, ["overlap"]),
        ({**BUDGET, "paths": ["/v1/**"]}, {"obligations": {"upstreamHeaders": []}}, []),
        ({"mcp": {"methods": ["tools/call"], "names": ["a*"]}},
         {"mcp": {"methods": ["tools/*"], "names": ["ab"]}, "scopes": ["x"]}, ["overlap"]),
        ({"mcp": {"methods": ["tools/call"], "names": ["a*"]}},
         {"mcp": {"methods": ["tools/call"], "names": ["b*"]}, "scopes": ["x"]}, []),
    ],
)  # fmt: skip
def test_two_allow_rules_that_are_close(
    first: dict[str, Any], second: dict[str, Any], found: list[str]
) -> None:
    rules = {"name": "first", **first}, {"name": "second", **second}
    ignored = {Lint.BUDGET_MEMORY}
    policy = {"resources": RESOURCES, "rules": list(rules)}
    problems = lint(sources(policy), make_service(), NOW, ignored)
    assert codes(problems) == found


def test_of_two_rules_alike_the_first_by_name_stays() -> None:
    assert find({"name": "b"}, {"name": "a"}, {"name": "c"}) == [
        "spec.rules[0] redundant",
        "spec.rules[2] redundant",
    ]


def test_an_observed_rule_and_an_enforced_one_are_no_pair() -> None:
    other = {"rules": [{"scopes": ["x"]}], "mode": "observe"}
    assert lint(sources({"rules": [WIDE]}, other), make_service(), NOW) == []

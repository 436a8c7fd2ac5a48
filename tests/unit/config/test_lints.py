"""Lints about single rules: where they fire, and near to that where they are silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deputize.config.lints.run import lint
from deputize.config.lints.table import LINTS, Lint
from deputize.config.loader import load
from deputize.config.policy_loader import read_policies
from tests.harness.linted import (
    ANYONE,
    BUDGET,
    FORBID,
    OTHER_ISSUER,
    SALES,
    codes,
    find,
    issuers,
    make_service,
    sources,
)
from tests.harness.world import NOW

ROOT = Path(__file__).parents[3]
STRICT_SERVICE = make_service(
    issuers=issuers(issuedScopes=["orders:read", "orders:write"]),
    delegation={"maxChainDepth": 3},
)


@pytest.mark.parametrize("code", Lint)
def test_the_example_of_a_lint_makes_it_fire_and_no_other(code: Lint) -> None:
    rules = yaml.safe_load(LINTS[code].example)
    found = find(*rules, service=STRICT_SERVICE)
    others = {Lint.SCOPE_NEVER_ISSUED} if code is not Lint.SCOPE_NEVER_ISSUED else set()
    assert {entry.rpartition(" ")[2] for entry in found} - others == {code}


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ({"methods": ["*"], "hosts": ["*"]}, ""),
        ({"methods": ["*"], "agents": ["spiffe://prod.example.org/**"]}, ""),
        ({"methods": ["*"], "agents": ["spiffe://prod.example.org/ns/**"]}, None),
        ({"methods": ["*"], "paths": ["/**"]}, ""),
        ({"methods": ["*"], "paths": ["/v1/**"]}, None),
        ({"hosts": ["api.example", "*"], "paths": ["/healthz"]}, ".hosts[1]"),
        ({"mcp": {"methods": ["tools/call"], "names": ["a"]}, "hosts": ["*"]}, ".hosts[0]"),
        ({"hosts": ["*.example"]}, None),
        ({"agents": ["spiffe://prod.example.org/**"]}, ".agents[0]"),
        ({"agents": ["spiffe://prod.example.org/*/*"]}, ".agents[0]"),
        ({"agents": ["spiffe://prod.example.org/ns/*/sa/research"]}, None),
        (
            {
                "agents": ["spiffe://prod.example.org/**"],
                "scopes": [],
                "mcp": {"methods": ["tools/call"], "names": ["a"]},
            },
            ".agents[0]",
        ),
        ({"methods": ["POST"], "scopes": []}, ".onBehalfOf[0]"),
        ({"methods": ["GET", "HEAD"], "scopes": []}, None),
        ({"methods": ["POST"], "scopes": [], "when": [{"claim": "a", "equals": 1}]}, None),
        (
            {"methods": ["POST"], "scopes": [], "when": [{"header": "x-a", "equals": "b"}]},
            ".onBehalfOf[0]",
        ),
        ({"methods": ["POST"], "scopes": [], "stepUp": {"acrValues": ["a"]}}, None),
        ({"methods": ["POST"], "scopes": [], "onBehalfOf": SALES}, None),
        ({"hosts": ["tools.example"], "methods": ["POST"], "paths": ["/mcp"]}, ""),
        ({"hosts": ["tools.example"], "methods": ["GET"], "paths": ["/mcp"]}, None),
        ({"hosts": ["tools.example"], "methods": ["POST"], "paths": ["/other"]}, None),
        ({"hosts": ["*.example"], "methods": ["POST"], "paths": ["/{any}"]}, ""),
        ({"mcp": {"methods": ["*"]}}, ".mcp.methods[0]"),
        ({"mcp": {"methods": ["tools/*"]}}, None),
        ({"mcp": {"methods": ["tools/*"]}, "scopes": []}, ".mcp"),
        ({"mcp": {"methods": ["tools/call"], "names": ["a", "*"]}, "scopes": []}, ".mcp"),
        ({"mcp": {"methods": ["tools/call"], "names": ["a"]}, "scopes": []}, None),
        ({"mcp": {"methods": ["tools/list"]}, "scopes": []}, None),
        (
            {
                "mcp": {"methods": ["tools/call"]},
                "scopes": [],
                "when": [{"argument": "amount", "atMost": 5}],
            },
            ".mcp",
        ),
        (
            {
                "mcp": {"methods": ["tools/call"]},
                "scopes": [],
                "when": [{"argument": "account", "equalsClaim": "account"}],
            },
            None,
        ),
        ({"a2a": {"operations": ["*"]}}, None),
        ({"a2a": {"operations": ["GetTask", "*"]}, "scopes": []}, ".a2a.operations[1]"),
        ({"grpc": {"methods": ["*"]}, "scopes": []}, ".grpc.methods[0]"),
        (FORBID, None),
    ],
)
def test_broad(rule: dict[str, Any], pointer: str | None) -> None:
    found = [entry for entry in find(rule) if entry.endswith("broad")]
    assert found == ([] if pointer is None else [f"spec.rules[0]{pointer} broad"])


def test_every_host_and_every_agent_are_two_findings() -> None:
    found = find({"hosts": ["*"], "agents": ["spiffe://prod.example.org/**"]})
    assert found == ["spec.rules[0].agents[0] broad", "spec.rules[0].hosts[0] broad"]


def test_scopes_are_looked_for_where_an_issuer_says_what_it_issues() -> None:
    both = [*ANYONE, {"issuer": OTHER_ISSUER, "anyone": True}]
    rule = {"scopes": ["orders:read", "order:read"], "onBehalfOf": both}
    assert find(rule) == []
    assert find(rule, service=STRICT_SERVICE) == ["spec.rules[0].scopes[1] scope-never-issued"]
    (problem,) = lint(sources({"rules": [rule]}), STRICT_SERVICE, NOW)
    assert "did you mean `orders:read`?" in problem.message
    none = make_service(issuers=issuers(issuedScopes=[]))
    assert len(find(rule, service=none)) == 2
    assert find({"scopes": []}, service=none) == []


def test_headers_in_conditions_of_any_rule() -> None:
    when = [{"claim": "a", "equals": 1}, {"header": "x-tenant", "exists": True}]
    expected = ["spec.rules[0].when[1].header header-condition"]
    assert find({"when": when}) == find({"when": when, "effect": "forbid"}) == expected


def test_budgets_are_counted_together_in_redis() -> None:
    assert find(BUDGET) == ["spec.rules[0].budget budget-memory"]
    redis = make_service(replay={"store": "redis", "urlFile": "url"})
    assert find(BUDGET, service=redis) == []


def test_a_bound_that_bounds_something_is_not_pointless() -> None:
    for depth, found in ((4, []), (5, ["spec.rules[0].chain.maxDepth pointless"])):
        assert find({"chain": {"maxDepth": depth}}) == found


def test_a_lint_can_be_left_out() -> None:
    policy = sources({"rules": [{}, FORBID]})
    assert lint(policy, make_service(), NOW, {Lint.SHADOWED}) == []


FINDINGS = {
    "docs/examples/config.yaml": [],
    # Rules that are there so that they do not grant, or that count in memory.
    "tests/vectors/world-calls/config.yaml": ["unreachable", "budget-memory"],
    "tests/vectors/world-issuers/config.yaml": [],
    "tests/vectors/world-metadata/config.yaml": [],
    "tests/vectors/world-strict/config.yaml": [],
    "tests/vectors/world-waypoint/config.yaml": [],
    # One agent that may do everything, to show that it is refused all the same.
    "tests/vectors/world/config.yaml": ["broad"],
}


@pytest.mark.parametrize("config", FINDINGS)
def test_good_policies_are_silent(config: str) -> None:
    loaded = load(ROOT / config)
    policies = [each for path in loaded.service.policies for each in read_policies(Path(path))]
    found = lint(policies, loaded.service, NOW)
    assert codes(found) == FINDINGS[config]


def test_the_policies_of_the_demo_are_silent() -> None:
    policies = read_policies(ROOT / "tests/demo/policies")
    assert lint(policies, make_service(), NOW) == []

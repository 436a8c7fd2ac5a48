"""The lint `unreachable`: only what certainly does nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.linted import (
    ANYONE,
    ISSUER,
    OTHER_ISSUER,
    PARTNER,
    RESEARCH,
    SALES,
    find,
    issuers,
    make_service,
)


def time(**window: str) -> dict[str, Any]:
    return {"when": [{"time": window}]}


WHEN_A = {"claim": "a", "equals": 1}


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ({"mcp": {"methods": ["ping"]}, "methods": ["GET", "PUT"]}, "methods"),
        ({"mcp": {"methods": ["ping"]}, "methods": ["GET", "POST"]}, ""),
        ({"mcp": {"methods": ["ping"]}, "methods": ["*"]}, ""),
        ({"grpc": {"methods": ["a.B/C"]}, "methods": ["GET"]}, "methods"),
        ({"a2a": {"operations": ["GetTask"]}, "methods": ["GET"]}, "methods"),
        ({"a2a": {"operations": ["GetTask"]}, "methods": ["GET"], "paths": ["/rest/**"]}, ""),
        ({"a2a": {"operations": ["GetTask"]}, "methods": ["PUT"], "paths": ["/rest/**"]},
         "methods"),
        ({"a2a": {"operations": ["GetTask"]}, "methods": ["PUT"], "paths": ["/v1.A2A/**"]}, ""),
        ({"a2a": {"operations": ["GetTask"]}, "paths": ["/rest/**"],
          "when": [{"argument": "x", "equals": 1}]}, "when[0].argument"),
        ({"a2a": {"operations": ["GetTask"]}, "when": [{"argument": "x", "equals": 1}]}, ""),
        ({"a2a": {"operations": ["SendMesage"]}}, "a2a.operations[0]"),
        ({"a2a": {"operations": ["GetTask", "message/send"]}}, "a2a.operations[1]"),
        ({"a2a": {"operations": ["Send*"]}}, ""),
        ({"a2a": {"operations": ["Sent*"]}}, "a2a.operations[0]"),
        ({"mcp": {"methods": ["tool/call"]}}, "mcp.methods[0]"),
        ({"mcp": {"methods": ["acme/frobnicate", "tools/*", "server/discover"]}}, ""),
        ({"mcp": {"methods": ["tools/call", "tools/list"], "names": ["x"]}}, "mcp.methods[1]"),
        ({"mcp": {"methods": ["tools/call", "tools/list"], "names": ["*"]}}, ""),
        ({"mcp": {"methods": ["tools/*"], "names": ["x"]}}, ""),
        ({"grpc": {"methods": ["/a.B/C"]}}, "grpc.methods[0]"),
        ({"grpc": {"methods": ["a.B"]}}, "grpc.methods[0]"),
        ({"grpc": {"methods": ["a.B/*", "a.*", "a.B/Get*", "*"]}}, ""),
        ({"grpc": {"methods": ["/*"]}}, "grpc.methods[0]"),
        (time(notAfter="2023-01-01T00:00:00Z"), "when[0].time.notAfter"),
        ({"effect": "forbid", **time(notAfter="2023-01-01T00:00:00Z")}, "when[0].time.notAfter"),
        (time(notAfter="2090-01-01T00:00:00Z"), ""),
        (time(notBefore="2090-01-01T00:00:00Z"), ""),
        (time(notBefore="2090-01-02T00:00:00Z", notAfter="2090-01-01T00:00:00Z"),
         "when[0].time.notAfter"),
        ({"when": [WHEN_A, {"claim": "a", "oneOf": [2, 3]}]}, "when[1]"),
        ({"when": [WHEN_A, {"claim": "a", "oneOf": [1, 3]}]}, ""),
        ({"when": [WHEN_A, {"claim": "a", "atLeast": 3}]}, ""),
        ({"when": [WHEN_A, {"claim": "b", "equals": 2}]}, ""),
        ({"when": [WHEN_A, {"claim": "a", "exists": False}]}, "when[1]"),
        ({"when": [{"claim": "a", "exists": True}, {"claim": "a", "exists": False}]}, "when[1]"),
        ({"when": [{"claim": "a", "exists": True}, WHEN_A]}, ""),
        ({"when": [WHEN_A, {"claim": "a", "equalsClaim": "b"}]}, ""),
        ({"effect": "forbid", "when": [WHEN_A, {"claim": "a", "equals": 2}]}, ""),
    ],
)  # fmt: skip
def test_unreachable(rule: dict[str, Any], pointer: str) -> None:
    found = [entry for entry in find(rule) if entry.endswith("unreachable")]
    assert found == ([f"spec.rules[0].{pointer} unreachable"] if pointer else [])


NS = "spiffe://prod.example.org/ns"


@pytest.mark.parametrize(
    ("ceilings", "fires"),
    [
        ([(f"{NS}/**", [])], True),
        ([(f"{NS}/**", ["orders:read"])], False),
        ([(f"{NS}/**", ["orders:read"]), (RESEARCH, ["x"])], True),
        ([(f"{NS}/other/**", [])], False),
        ([(f"{NS}/*", [])], False),
    ],
)
def test_scopes_above_every_ceiling(ceilings: list[tuple[str, list[str]]], *, fires: bool) -> None:
    settings = [{"agents": [agent], "scopes": scopes} for agent, scopes in ceilings]
    expected = ["spec.rules[0].scopes unreachable"] if fires else []
    assert find({}, agentCeilings=settings) == expected
    assert find({"agents": [RESEARCH, PARTNER]}, agentCeilings=settings) == []
    assert find({"scopes": []}, agentCeilings=settings) == []


@pytest.mark.parametrize(
    ("entries", "fires"),
    [
        ([(ANYONE, ["x"])], True),
        ([(ANYONE, ["x"]), (SALES, ["orders:read"])], False),
        ([([{"issuer": ISSUER, "subjects": ["bob"]}], ["orders:read"])], True),
        ([([{"issuer": ISSUER, "subjects": ["alice"]}], ["orders:read"])], False),
        ([([{"issuer": OTHER_ISSUER, "anyone": True}], ["x"])], False),
    ],
)
def test_scopes_nobody_may_delegate(
    entries: list[tuple[list[dict[str, Any]], list[str]]], *, fires: bool
) -> None:
    settings = [{"onBehalfOf": who, "scopes": scopes} for who, scopes in entries]
    rule = {"onBehalfOf": [{"issuer": ISSUER, "subjects": ["alice"]}]}
    expected = ["spec.rules[0].scopes unreachable"] if fires else []
    assert find(rule, principalScopes=settings) == expected


def test_agents_whom_no_issuer_may_name() -> None:
    service = make_service(issuers=issuers(agentTrustDomains=["partner.example"]))
    assert find({}, service=service) == ["spec.rules[0].agents unreachable"]
    assert find({"agents": [RESEARCH, PARTNER]}, service=service) == []
    both = [*ANYONE, {"issuer": OTHER_ISSUER, "anyone": True}]
    assert find({"onBehalfOf": both}, service=service) == []


def test_agents_that_are_forbidden() -> None:
    service = make_service(delegation={"forbiddenActors": [RESEARCH]})
    assert find({}, service=service) == ["spec.rules[0].agents unreachable"]
    assert find({"agents": [f"{NS}/agents/sa/*"]}, service=service) == []

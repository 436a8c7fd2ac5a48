"""Random policies, and random calls that hold all that a rule of them could ask about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.harness.recordings import mcp_call, policy_text
from tests.harness.world import AGENT, HOST, ISSUER_URL, NOW, OTHER_AGENT

MCP_RESOURCE = {"hosts": [HOST], "paths": ["/mcp"], "protocol": "mcp"}
PATHS = ("/v1/orders/7", "/v1/orders/8", "/v1/orders", "/mcp")
METHODS = ("GET", "POST")
BY_CLAIM = {"issuer": ISSUER_URL, "claims": {"groups": ["sales"]}}
PRINCIPALS = st.sampled_from(
    [
        {"issuer": ISSUER_URL, "anyone": True},
        {"issuer": ISSUER_URL, "subjects": ["alice"]},
        BY_CLAIM,
        {**BY_CLAIM, "subjects": ["bob", "alice"]},
    ]
)
CONDITIONS = st.sampled_from(
    [
        {"header": "x-tenant", "equals": "a"},
        {"header": "x-tenant", "exists": False},
        {"claim": "groups", "hasAny": ["sales", "1"]},
        {"claim": "region", "exists": False},
        {"claim": "region", "noneOf": ["eu"]},
        {"claim": "region", "atLeast": 1},
        {"principal": "subject", "equalsClaim": "region"},
        {"token": "ageSeconds", "atMost": 30},
        {"token": "remainingSeconds", "atLeast": 200},
        {"token": "binding", "equals": "none"},
        {"chain": "depth", "atMost": 1},
        {"chain": "actors", "hasAny": [OTHER_AGENT]},
        {"chain": "origin", "equals": AGENT},
        {"peer": "assurance", "equals": "certificate-checked"},
        {"time": {"begins": "08:00", "ends": "08:30"}},
        {"cel": "request.headers['x-tenant'] == 'a'"},
        {"cel": "'x' in principal.claims.groups || chain.size() > 1"},
        {"cel": "!has(principal.claims.region) && principal.kind == 'unknown'"},
        {"cel": "'orders:read' in scopes && peer.assurance == 'asserted-by-proxy'"},
        {"cel": "now.getHours() == 8 && request.path != '/mcp' && agent.endsWith('research')"},
        {"cel": "principal.claims.exists(name, name == 'region')"},
    ]
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """One rule about some of the calls below."""
    is_about_tools = draw(st.booleans())
    rule: dict[str, Any] = {
        "effect": draw(st.sampled_from(["allow", "allow", "forbid"])),
        "onBehalfOf": [draw(PRINCIPALS)],
        "methods": draw(st.lists(st.sampled_from(METHODS), min_size=1, unique=True)),
        "paths": ["/mcp"] if is_about_tools else draw(st.sampled_from([["/v1/**"], ["/**"]])),
        "scopes": draw(st.sampled_from([[], ["orders:read"], ["orders:write"]])),
    }
    when = draw(st.lists(CONDITIONS, max_size=2, unique_by=str))
    if is_about_tools and draw(st.booleans()):
        rule["mcp"] = {"methods": ["tools/call"], "names": draw(st.sampled_from([["a"], ["a*"]]))}
        if draw(st.booleans()):
            when = [*when, {"argument": "amount", "atMost": draw(st.sampled_from([3, 9]))}]
    if when:
        rule["when"] = when
    if rule["effect"] == "allow":
        rule |= draw(
            st.sampled_from(
                [
                    {},
                    {"stepUp": {"acrValues": ["high"]}},
                    {"stepUp": {"maxAgeSeconds": 100, "acrValues": ["high", "low"]}},
                    {"chain": {"maxDepth": 1}},
                ]
            )
        )
    return rule


@st.composite
def policies(draw: st.DrawFn) -> str:
    """A policy file of a few rules."""
    named = [
        {**rule, "name": f"rule-{number}"}
        for number, rule in enumerate(draw(st.lists(rules(), min_size=1, max_size=4)))
    ]
    return policy_text(
        *named,
        mode="enforce",
        # A rule about calls needs a resource.
        resources=[MCP_RESOURCE]
        if draw(st.booleans()) or any("mcp" in rule for rule in named)
        else [],
        principal_scopes=draw(
            st.sampled_from(
                [
                    [],
                    [{"onBehalfOf": [BY_CLAIM], "scopes": ["orders:read"]}],
                ]
            )
        ),
    )


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """One call, with all that a rule could ask about."""
    optional: Mapping[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "groups": st.sampled_from([["sales"], ["x"], "sales"]),
                "region": st.sampled_from(["eu", "alice", 5]),
                "acr": st.sampled_from(["high", "low"]),
                "auth_time": st.sampled_from([NOW - 50, NOW - 500]),
            },
        )
    )
    method, path = draw(st.sampled_from(METHODS)), draw(st.sampled_from(PATHS))
    tenant = draw(st.sampled_from([{}, {"x-tenant": "a"}, {"x-tenant": "b"}]))
    call: dict[str, Any] = {"headers": tenant}
    if path == "/mcp" and method == "POST":
        call = mcp_call(draw(st.sampled_from(["a", "ab", "b"])))
        call["headers"] |= tenant
    token = {
        "subject": draw(st.sampled_from(["alice", "bob"])),
        "scope": draw(st.sampled_from(["", "orders:read", "orders:read orders:write"])),
        "chain": draw(st.sampled_from([[], [OTHER_AGENT]])),
        "now": NOW - draw(st.sampled_from([0, 200])),
        "claims": optional,
    }
    now = NOW + draw(st.sampled_from([0, 60]))
    return {**call, "method": method, "path": path, "token": token, "now": now}

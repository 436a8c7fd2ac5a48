"""Policies for lints: rules that need only say what a test is about."""

from __future__ import annotations

import json
from typing import Any

from deputize.config.lints.run import lint
from deputize.config.policy_compiler import SourcedPolicies, compile_policies
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import Problem
from deputize.config.schema import ServiceConfig, ServiceSpec
from deputize.config.strict_yaml import parse_documents
from deputize.config.validation import validate
from tests.harness.world import NOW

ISSUER = "https://idp.example.org"
OTHER_ISSUER = "https://partner.example"
RESEARCH = "spiffe://prod.example.org/ns/agents/sa/research"
PARTNER = "spiffe://partner.example/courier"
ANYONE = [{"issuer": ISSUER, "anyone": True}]
RESOURCES = [
    {"hosts": ["tools.example"], "paths": ["/mcp"], "protocol": "mcp"},
    {"hosts": ["agents.example"], "paths": ["/a2a"], "protocol": "a2a"},
    {"hosts": ["agents.example"], "paths": ["/rest/**"], "protocol": "a2a", "read": "rest"},
    {"hosts": ["agents.example"], "paths": ["/v1.A2A/**"], "protocol": "a2a", "read": "grpc"},
    {"hosts": ["grpc.example"], "paths": ["/**"], "protocol": "grpc"},
]
SALES, STAFF = ([{"issuer": ISSUER, "claims": {"groups": [name]}}] for name in ("sales", "staff"))
BUDGET = {"budget": {"limit": 1, "windowSeconds": 60}}
FORBID = {
    "name": "forbid",
    "effect": "forbid",
    "agents": ["spiffe://prod.example.org/**"],
    "hosts": ["*"],
    "methods": ["*"],
    "paths": ["/**"],
}
AT = {
    "mcp": ("tools.example", "/mcp"),
    "a2a": ("agents.example", "/a2a"),
    "grpc": ("grpc.example", "/**"),
}


def make_service(**spec: object) -> ServiceSpec:
    issuers = [
        {"issuer": name, "audiences": ["orders"], "keys": {"file": "jwks.json"}}
        for name in (ISSUER, OTHER_ISSUER)
    ]
    return ServiceConfig.model_validate(
        {
            "apiVersion": "deputize.dev/v1alpha1",
            "kind": "ServiceConfig",
            "spec": {
                "server": {"grpc": {"listen": ["127.0.0.1:0"]}},
                "peer": {"trustDomains": ["prod.example.org", "partner.example"]},
                "issuers": issuers,
                "policies": ["."],
                **spec,
            },
        }
    ).spec


def issuers(**keys: object) -> list[dict[str, Any]]:
    """Two issuers, of which the first has these keys too."""
    entry = {"issuer": ISSUER, "audiences": ["orders"], "keys": {"file": "jwks.json"}}
    return [{**entry, **keys}, {**entry, "issuer": OTHER_ISSUER}]


def complete(fragment: dict[str, Any]) -> dict[str, Any]:
    """A whole rule; what the fragment leaves out does not matter."""
    speaks = next((key for key in AT if key in fragment), None)
    host, path = AT[speaks] if speaks else ("orders.example", "/v1/orders")
    base: dict[str, Any] = {
        "name": "rule",
        "effect": "allow",
        "agents": [RESEARCH],
        "onBehalfOf": ANYONE,
        "hosts": [host],
        "methods": ["POST"] if speaks else ["GET"],
        "paths": [path],
    }
    if fragment.get("effect", "allow") == "allow":
        base["scopes"] = ["orders:read"]
    return base | fragment


def sources(*policies: dict[str, Any]) -> SourcedPolicies:
    """Policies with these specs, each from a file of its own."""
    found: SourcedPolicies = []
    for number, spec in enumerate(policies):
        head = {"apiVersion": "deputize.dev/v1alpha1", "kind": "DelegationPolicy"}
        rules = [complete(rule) for rule in spec.get("rules", [])]
        value = {**head, "metadata": {"name": f"p{number}"}, "spec": {**spec, "rules": rules}}
        # JSON is YAML without aliases.
        (document,) = parse_documents(json.dumps(value, indent=1).encode(), f"p{number}.yaml")
        found.append((validate(DelegationPolicy, document), document))
    assert compile_policies(found)[1] == []
    return found


def find(*rules: dict[str, Any], service: ServiceSpec | None = None, **spec: object) -> list[str]:
    """`pointer code` of each finding in one policy with these rules."""
    policy = {"resources": RESOURCES, "rules": list(rules), **spec}
    service = service or make_service()
    return [
        f"{problem.pointer} {problem.message[1:].partition(']')[0]}"
        for problem in lint(sources(policy), service, NOW)
    ]


def codes(problems: list[Problem]) -> list[str]:
    """The code of each finding."""
    return [problem.message[1:].partition("]")[0] for problem in problems]

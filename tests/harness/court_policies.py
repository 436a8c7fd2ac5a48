"""Policies with something of everything, as a file, for courts to decide under."""

from __future__ import annotations

from pathlib import Path

from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.policy_loader import load_policies

RULES = """\
apiVersion: deputize.dev/v1alpha1
kind: DelegationPolicy
metadata:
  name: shop
spec:
  resources:
    - {hosts: [tools.example], paths: [/mcp], protocol: mcp}
    - {hosts: [headers.example], paths: [/mcp], protocol: mcp, read: headers}
    - {hosts: [agents.example], paths: [/rpc], protocol: a2a}
    - {hosts: [agents.example], paths: [/rest/**], protocol: a2a, read: rest}
    - {hosts: [agents-grpc.example], paths: [/lf.a2a.v1.A2AService/**], protocol: a2a, read: grpc}
    - {hosts: [grpc.example], paths: [/shop.Orders/**], protocol: grpc}
  agentCeilings:
    - agents: [spiffe://prod.example.org/ns/agents/**]
      scopes: [orders:read, orders:write, tools]
  rules:
    - name: read
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", claims: {groups: [staff]}}]
      hosts: [orders.example]
      methods: [GET]
      paths: ["/v1/orders/{id}"]
      scopes: [orders:read]
    - name: no-secrets
      effect: forbid
      agents: [spiffe://prod.example.org/**]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: ["*"]
      methods: ["*"]
      paths: [/v1/orders/secret]
    - name: refund
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: [orders.example]
      methods: [POST]
      paths: ["/v1/orders/{id}/refund"]
      scopes: [orders:write]
      stepUp: {acrValues: [gold]}
      approval: {services: ["https://approvals.example"], approverNotPrincipal: true}
      budget: {limit: 3, windowSeconds: 3600}
    - name: office
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: [office.example]
      methods: [GET]
      paths: [/**]
      when: [{time: {days: [mon], begins: "09:00", ends: "17:00"}}]
      chain: {maxDepth: 2}
      upgrades: [websocket]
      scopes: []
    - name: search
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: [tools.example, headers.example]
      methods: [POST]
      paths: [/mcp]
      mcp: {methods: [tools/call, resources/read, ping], names: [search, "file:///data/*", "*"]}
      scopes: [tools]
    - name: pay
      effect: forbid
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: [tools.example]
      methods: [POST]
      paths: [/mcp]
      mcp: {methods: [tools/call], names: [pay]}
      when: [{argument: amount, atLeast: 100}]
    - name: talk
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: [agents.example, agents-grpc.example]
      methods: ["*"]
      paths: [/rpc, /rest/**, /lf.a2a.v1.A2AService/**]
      scopes: []
    - name: list
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: "https://issuer.example", anyone: true}]
      hosts: [grpc.example]
      methods: [POST]
      paths: [/shop.Orders/**]
      grpc: {methods: [shop.Orders/List]}
      scopes: []
"""


def write_policies(folder: Path, text: str = RULES, name: str = "shop.yaml") -> Path:
    """The policies as a file."""
    file = folder / name
    file.write_text(text)
    return file


def compile_text(folder: Path, text: str = RULES) -> CompiledPolicies:
    """The policies compiled."""
    return load_policies(write_policies(folder, text))

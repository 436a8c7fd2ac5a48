"""What is measured: one allowed call, among few or many rules that it does not match."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from tests.harness.issuer import Issuer

ISSUER = "https://issuer.example"
HOST = "orders.example"
AGENT = "spiffe://prod.example.org/ns/agents/sa/research"
PLANNER = "spiffe://prod.example.org/ns/agents/sa/planner"
RULE_COUNTS = (10, 1000, 10000)
AGENTS, HOSTS = 1000, 100


def write_world(folder: Path, issuer: Issuer, rules: int) -> None:
    """The policy file and the key set."""
    (folder / "audit").mkdir()
    (folder / "jwks.json").write_bytes(issuer.jwks())
    policy = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "DelegationPolicy",
        "metadata": {"name": "bench"},
        "spec": {"rules": [make_rule(number) for number in range(rules)]},
    }
    (folder / "policy.yaml").write_text(yaml.dump(policy, Dumper=yaml.CSafeDumper))


def make_config(transport: str, port: int, http_port: int, cache_entries: int) -> dict[str, Any]:
    """The service configuration; no cached tokens makes every check a cold one."""
    return {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "ServiceConfig",
        "spec": {
            "server": {
                "transport": transport,
                "grpc": {"listen": [f"127.0.0.1:{port}"]},
                "http": {"listen": f"127.0.0.1:{http_port}"},
                "drain": {"delaySeconds": 0},
                "decisionTimeoutMillis": 10000,
            },
            "peer": {"trustDomains": ["prod.example.org"]},
            "token": {"cacheEntries": cache_entries},
            "issuers": [
                {
                    "issuer": ISSUER,
                    "audiences": ["orders"],
                    "algorithms": ["ES256"],
                    "keys": {"file": "jwks.json"},
                }
            ],
            "policies": ["policy.yaml"],
            "audit": {"sink": "file", "file": "audit/events.jsonl", "queueSize": 1000000},
        },
    }


def make_check(issuer: Issuer, claims: Mapping[str, object] = MappingProxyType({})) -> bytes:
    """A check as Envoy sends it for an ordinary call: 23 headers, about 2 kB."""
    token = issuer.issue(
        agent=AGENT,
        chain=[PLANNER],
        scope="orders:read orders:write",
        now=time.time(),
        lifetime=3000,
        claims=claims,
    )
    check = CheckRequest()
    check.attributes.source.principal = AGENT
    http = check.attributes.request.http
    http.method, http.host, http.path = "GET", HOST, "/v1/orders/7"
    headers = {
        ":authority": HOST,
        ":method": "GET",
        ":path": "/v1/orders/7",
        ":scheme": "https",
        "authorization": f"Bearer {token}",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "x-request-id": "5f3d0c8e-9a51-4d9e-8f0b-2c7a4e1b6d90",
        **{f"x-application-{number}": f"value-{number}-{'x' * 24}" for number in range(16)},
    }
    http.headers.update(headers)
    return check.SerializeToString()


def is_allow(answer: bytes) -> bool:
    """True for the answer that lets the call through."""
    return CheckResponse.FromString(answer).HasField("ok_response")


def make_rule(number: int) -> dict[str, Any]:
    """The first is the one that allows the call; all others are about something else."""
    first = number == 0
    return {
        "name": f"rule-{number}",
        "effect": "allow",
        "agents": [
            AGENT if first else f"spiffe://prod.example.org/ns/agents/sa/a{number % AGENTS}"
        ],
        "onBehalfOf": [{"issuer": ISSUER, "anyone": True}],
        "hosts": [HOST if number % HOSTS == 0 else f"host-{number % HOSTS}.example"],
        "methods": ["GET"],
        "paths": ["/v1/orders/{id}" if first else f"/v1/things-{number}/{{id}}"],
        "scopes": ["orders:read"],
    }

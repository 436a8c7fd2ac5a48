"""What calls of tools cost: reading a large body, and finding one tool's rule among many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.adapters.envoy_request import read_check
from deputize.config.loader import load
from deputize.core.decide import decide
from deputize.core.keys import freeze_keys, parse_jwk_set
from deputize.core.mcp import read_mcp_calls
from deputize.core.model import VerifiedToken
from deputize.core.revocation import NOTHING_REVOKED
from deputize.core.verdict import Permit
from deputize.server.state import Fetched, build_snapshot
from tests.benchmarks.scenario import AGENT, AGENTS, HOST, HOSTS, ISSUER, make_check, make_config
from tests.harness.issuer import Issuer

BODY_BYTES = 64 * 1024
ROUNDS = 15
CALLS, BODIES = 2000, 40
FEW, MANY = 10, 10_000


@dataclass(frozen=True)
class CallCost:
    """Microseconds of CPU: per body of 64 kB by shape, and per decision by number of rules."""

    bodies: Mapping[str, float]
    decided: Mapping[int, float]
    load_seconds: float


def measure_calls(issuer: Issuer, folder: Path) -> CallCost:
    """Measures all in interleaved rounds and takes the best of each."""
    jobs: dict[str | int, tuple[Callable[[], object], int]] = {
        name: (lambda body=body: read_mcp_calls(body), BODIES)  # type: ignore[misc] # a lambda with a default
        for name, body in _bodies().items()
    }
    seconds = 0.0
    for rules in (FEW, MANY):
        call, seconds = _decision(issuer, folder, rules)
        jobs[rules] = (call, CALLS)
    best = dict.fromkeys(jobs, float("inf"))
    for _round in range(ROUNDS):
        for name, (job, count) in jobs.items():
            best[name] = min(best[name], _micros(job, count))
    return CallCost(
        {str(name): micros for name, micros in best.items() if isinstance(name, str)},
        {name: micros for name, micros in best.items() if isinstance(name, int)},
        seconds,
    )


def _bodies() -> dict[str, bytes]:
    """Calls of 64 kB as clients write them, without spaces between."""
    members = {
        f"section_{number}": {"title": "x" * 80, "rows": [1, 2, 3], "note": "y" * 60}
        for number in range(320)
    }
    shapes: dict[str, dict[str, object]] = {
        "one text": {"text": 'a line of text, "quoted"\n' * 2200},
        "nested members": {"report": members},
        "numbers": {"vector": [number / 7919 for number in range(3000)]},
    }
    bodies = {name: _call("tool-7", arguments) for name, arguments in shapes.items()}
    assert all(abs(len(body) / BODY_BYTES - 1) < 0.1 for body in bodies.values())
    return bodies


def _call(name: str, arguments: Mapping[str, object]) -> bytes:
    params = {"name": name, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(message, separators=(",", ":")).encode()


def _decision(issuer: Issuer, folder: Path, rules: int) -> tuple[Callable[[], object], float]:
    """A decision, and the seconds from files to what it is made under."""
    (folder / "tools.yaml").write_text(yaml.dump(_policy(rules), Dumper=yaml.CSafeDumper))
    config = make_config("grpcio", 0, 0, 10)
    config["spec"]["policies"] = ["tools.yaml"]
    file = folder / "tools-config.yaml"
    file.write_text(yaml.safe_dump(config))
    started, now = time.process_time(), time.time()
    loaded = load(file)
    keys, _ = parse_jwk_set(issuer.jwks(), loaded.compiled.issuers[ISSUER].algorithms)
    rings = {ISSUER: freeze_keys(keys, now + 3600)}
    fetched = Fetched(rings, NOTHING_REVOKED, {}, {})
    snapshot = build_snapshot(loaded.compiled, loaded.digest, fetched, None)
    seconds = time.process_time() - started
    request = read_check(_check(issuer), "bench", None)
    memory: dict[str, VerifiedToken] = {}
    first = decide(request, snapshot, now, memory.get)
    assert isinstance(first.verdict, Permit), first
    assert first.proven.token is not None
    memory[request.headers["authorization"].removeprefix("Bearer ")] = first.proven.token
    return lambda: decide(request, snapshot, now, memory.get), seconds


def _check(issuer: Issuer) -> bytes:
    """A call of the first rule's tool."""
    check = CheckRequest.FromString(make_check(issuer))
    http = check.attributes.request.http
    http.method, http.path = "POST", "/mcp"
    http.headers[":method"], http.headers[":path"] = "POST", "/mcp"
    http.raw_body = _call("tool-0", {"city": "Bern"})
    http.size = len(http.raw_body)
    http.headers["content-length"] = str(len(http.raw_body))
    return check.SerializeToString()


def _policy(rules: int) -> dict[str, Any]:
    return {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "DelegationPolicy",
        "metadata": {"name": "tools"},
        "spec": {
            "resources": [{"hosts": ["*"], "paths": ["/mcp"], "protocol": "mcp"}],
            "rules": [_rule(number) for number in range(rules)],
        },
    }


def _rule(number: int) -> dict[str, Any]:
    """Every second rule is about the very agent and host that are asked about."""
    is_near = number % 2 == 0
    return {
        "name": f"rule-{number}",
        "effect": "allow",
        "agents": [
            AGENT if is_near else f"spiffe://prod.example.org/ns/agents/sa/a{number % AGENTS}"
        ],
        "onBehalfOf": [{"issuer": ISSUER, "anyone": True}],
        "hosts": [HOST if is_near else f"host-{number % HOSTS}.example"],
        "methods": ["POST"],
        "paths": ["/mcp"],
        "mcp": {"methods": ["tools/call"], "names": [f"tool-{number}"]},
        "scopes": ["orders:read"],
    }


def _micros(call: Callable[[], object], count: int) -> float:
    started = time.process_time()
    for _call_number in range(count):
        call()
    return (time.process_time() - started) / count * 1e6

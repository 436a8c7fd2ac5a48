"""A service configuration for one issuer on loopback; tests change what they are about."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tests.harness.loopback import HOST, free_port

AUDIT_FILE = "audit.jsonl"
_AUDIT = {"sink": "file", "file": AUDIT_FILE}
# On a busy machine a test must not fail because a decision came late.
_TIMES = {"decisionTimeoutMillis": 2000, "drain": {"delaySeconds": 0}}


def service_config(
    *,
    issuer: str,
    audience: str,
    keys: dict[str, Any],
    trust_domains: Sequence[str],
    policies: Sequence[str],
    grpc_listen: Sequence[str],
    transport: str = "grpcio",
) -> dict[str, Any]:
    """The document. `keys` is the issuer's key source, for example `{"url": ...}`."""
    return {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "ServiceConfig",
        "spec": {
            "server": {
                "transport": transport,
                "grpc": {"listen": list(grpc_listen)},
                "http": {"listen": f"{HOST}:{free_port()}"},
                **copy.deepcopy(_TIMES),
            },
            "peer": {"trustDomains": list(trust_domains)},
            "issuers": [
                {
                    "issuer": issuer,
                    "audiences": [audience],
                    "algorithms": ["ES256"],
                    "keys": keys,
                }
            ],
            "policies": list(policies),
            "audit": dict(_AUDIT),
        },
    }


def with_own_ports(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration for another process beside the first."""
    copied: dict[str, Any] = copy.deepcopy(dict(config))
    server = copied["spec"]["server"]
    server["grpc"]["listen"] = [f"{HOST}:{free_port()}"]
    server["http"]["listen"] = f"{HOST}:{free_port()}"
    return copied


def on_this_machine(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration made for elsewhere, with ports, times and the audit file of a test."""
    copied = with_own_ports(config)
    copied["spec"]["server"] |= copy.deepcopy(_TIMES)
    copied["spec"]["audit"] = dict(_AUDIT)
    return copied

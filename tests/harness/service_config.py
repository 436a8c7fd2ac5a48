"""A service configuration for one issuer on loopback; tests change what they are about."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tests.harness.loopback import HOST, free_port

AUDIT_FILE = "audit.jsonl"


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
                # On a busy machine a test must not fail because a decision came late.
                "decisionTimeoutMillis": 2000,
                "drain": {"delaySeconds": 0},
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
            "audit": {"sink": "file", "file": AUDIT_FILE},
        },
    }


def with_own_ports(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration for another process beside the first."""
    copied: dict[str, Any] = copy.deepcopy(dict(config))
    server = copied["spec"]["server"]
    server["grpc"]["listen"] = [f"{HOST}:{free_port()}"]
    server["http"]["listen"] = f"{HOST}:{free_port()}"
    return copied

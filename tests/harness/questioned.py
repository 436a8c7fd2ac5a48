"""Policies that ask for much, and the commands that answer questions about policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from deputize.cli.policy_commands import policy_commands
from tests.harness.recordings import policy_text
from tests.harness.world import HOST, ISSUER_URL

READ = {"name": "read"}
NO_SECRET = {
    "name": "no-secret",
    "effect": "forbid",
    "agents": ["spiffe://prod.example.org/**"],
    "methods": ["*"],
    "paths": ["/v1/orders/secret"],
}
RICH: tuple[Mapping[str, object], ...] = (
    {"name": "staff", "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["a", "b"]}}]},
    {"name": "deep", "paths": ["/v2/{x}"], "chain": {"maxDepth": 2}, "upgrades": ["websocket"]},
    {"name": "strong", "paths": ["/v3"], "stepUp": {"acrValues": ["gold"], "maxAgeSeconds": 60}},
    {
        "name": "tools",
        "methods": ["POST"],
        "paths": ["/mcp"],
        "mcp": {"methods": ["tools/*", "resources/read"], "names": ["get_*", "file:///a/*"]},
    },
    {"name": "rpc", "methods": ["*"], "paths": ["/**"], "grpc": {"methods": ["pkg.Svc/Get*"]}},
    {"name": "task", "methods": ["*"], "paths": ["/a2a/**"], "a2a": {"operations": ["*"]}},
    {"name": "rest", "methods": ["*"], "paths": ["/rest/**"], "a2a": {"operations": ["*"]}},
    {"name": "a2a-rpc", "methods": ["*"], "paths": ["/**"], "a2a": {"operations": ["GetTask"]}},
    {
        "name": "no-b",
        "effect": "forbid",
        "methods": ["*"],
        "paths": ["/**"],
        "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["b"]}}],
    },
    NO_SECRET,
)
RESOURCES = (
    {"hosts": [HOST], "paths": ["/mcp"], "protocol": "mcp"},
    {"hosts": [HOST], "paths": ["/pkg.Svc/{method}"], "protocol": "grpc"},
    {"hosts": [HOST], "paths": ["/a2a/agent"], "protocol": "a2a"},
    {"hosts": [HOST], "paths": ["/rest/**"], "protocol": "a2a", "read": "rest"},
    {
        "hosts": [HOST],
        "paths": ["/lf.a2a.v1.A2AService/{method}"],
        "protocol": "a2a",
        "read": "grpc",
    },
)


def write(file: Path, *rules: Mapping[str, object], **head: Any) -> Path:  # noqa: ANN401 - as `policy_text`
    file.write_text(policy_text(*rules, **head))
    return file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(policy_commands, list(map(str, arguments)))


def read(result: Result) -> Any:  # noqa: ANN401 - whatever is in the answer
    return json.loads(result.stdout)
